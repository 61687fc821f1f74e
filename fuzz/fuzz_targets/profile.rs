//! Any text as a profile: it is read or refused with its place.

#![no_main]

use libfuzzer_sys::fuzz_target;
use palyra_actors::provider::lint;

fuzz_target!(|text: &str| {
    if let Err(refused) = lint("own.toml", text) {
        assert!(refused.line >= 1 && refused.column >= 1);
    }
});
