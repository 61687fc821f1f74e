//! Detects duplicate keys of objects while they are parsed.

use std::borrow::Cow;
use std::collections::HashSet;

/// Most keys of an object that are compared one by one; beyond it, a hash set is faster.
const FEW_MAX: usize = 16;

/// The keys of all open objects, the innermost last.
#[derive(Default)]
pub struct OpenKeys<'de>(Vec<Cow<'de, str>>);

/// The keys of one open object.
pub struct ObjectKeys<'de> {
    few_from: usize,
    many: Option<HashSet<Cow<'de, str>>>,
}

impl<'de> OpenKeys<'de> {
    /// Begins an object.
    pub fn open(&self) -> ObjectKeys<'de> {
        ObjectKeys { few_from: self.0.len(), many: None }
    }

    /// Adds a key to the innermost object; `false` if it is a duplicate.
    pub fn insert(&mut self, object: &mut ObjectKeys<'de>, key: Cow<'de, str>) -> bool {
        if let Some(many) = &mut object.many {
            return many.insert(key);
        }
        let few = self.0.get(object.few_from..).unwrap_or_default();
        if few.contains(&key) {
            return false;
        }
        if few.len() == FEW_MAX {
            object.many = Some(few.iter().cloned().chain([key]).collect());
        } else {
            self.0.push(key);
        }
        true
    }

    /// Ends the innermost object.
    pub fn close(&mut self, object: ObjectKeys<'de>) {
        self.0.truncate(object.few_from);
    }
}
