//! Deserializes maps and refuses duplicate keys.

use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;

use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, Unexpected, Visitor};

/// Reads parameters. A duplicate name is refused, because another reader might use the other value.
pub fn each_once<'de, V: Deserialize<'de>, D: Deserializer<'de>>(
    parameters: D,
) -> Result<BTreeMap<String, V>, D::Error> {
    parameters.deserialize_map(EachOnce(PhantomData))
}

struct EachOnce<V>(PhantomData<V>);

impl<'de, V: Deserialize<'de>> Visitor<'de> for EachOnce<V> {
    type Value = BTreeMap<String, V>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object that names each parameter once")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Self::Value, A::Error> {
        let mut parameters = BTreeMap::new();
        while let Some((name, value)) = members.next_entry()? {
            if parameters.insert(name, value).is_some() {
                return Err(A::Error::invalid_value(Unexpected::Other("a name twice"), &self));
            }
        }
        Ok(parameters)
    }
}
