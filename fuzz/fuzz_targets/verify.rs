//! A whole signed request, in the form of `tests/vectors`: it is judged, and nothing brings the engine down.

#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use palyra_actors::provider::{Case, Catalogue};

static CATALOGUE: LazyLock<Catalogue> =
    LazyLock::new(|| Catalogue::built_in().expect("the profiles can be read"));

fuzz_target!(|line: &[u8]| {
    let Ok(case) = serde_json::from_slice::<Case>(line) else { return };
    if let Some(profile) = CATALOGUE.get(&case.provider) {
        let outcome = case.run(profile);
        assert!(!outcome.end.as_str().is_empty());
    }
});
