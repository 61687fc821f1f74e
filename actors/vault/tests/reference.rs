use proptest::prelude::*;

use super::*;
use crate::limits::{VAULT_REF_BYTES_MAX, VAULT_REF_PART_BYTES_MAX};

#[test]
fn every_documented_form_is_read_and_written_back_unchanged() {
    let table = [
        ("global/github", Keeper::Vault, "global/github"),
        ("global/9.a_b-C", Keeper::Vault, "global/9.a_b-C"),
        ("principal:ann/key", Keeper::Vault, "principal:ann/key"),
        ("channel:slack:acct-1/key", Keeper::Vault, "channel:slack:acct-1/key"),
        ("skill:deploy/key", Keeper::Vault, "skill:deploy/key"),
        ("env:GITHUB_SECRET", Keeper::Env, "GITHUB_SECRET"),
        ("env:_x", Keeper::Env, "_x"),
        ("file:/etc/palyra/a secret", Keeper::File, "/etc/palyra/a secret"),
        ("hashivault:secret/team/github#hmac", Keeper::HashiVault, "secret/team/github#hmac"),
    ];
    for (text, keeper, place) in table {
        let parsed = vault_ref(text);
        assert_eq!((parsed.to_string().as_str(), parsed.keeper(), parsed.place()), (text, keeper, place));
    }
}

#[test]
fn what_is_no_reference_is_refused_with_the_reason() {
    let table = [
        ("", "no `/`"),
        ("global", "no `/`"),
        ("global/", "key is empty"),
        ("/key", "scope is unknown"),
        ("globl/key", "scope is unknown"),
        ("Global/key", "scope is unknown"),
        (" global/key", "scope is unknown"),
        ("global/key ", "not allowed"),
        ("global/a/b", "not allowed"),
        ("global/../x", "not allowed"),
        ("global/.x", "not allowed"),
        ("global/-x", "not allowed"),
        ("global/a~b", "not allowed"),
        ("global/a\0", "not allowed"),
        ("global/ключ", "not allowed"),
        ("global:x/key", "too many parts"),
        ("principal/key", "principal id is empty"),
        ("principal:/key", "principal id is empty"),
        ("principal:a:b/key", "too many parts"),
        ("channel:slack/key", "channel account is empty"),
        ("channel:slack:a:b/key", "too many parts"),
        ("skill:../key", "not allowed"),
        ("env:", "environment variable"),
        ("env:1X", "environment variable"),
        ("env:A=B", "environment variable"),
        ("file:relative", "absolute path"),
        ("file:/etc/", "absolute path"),
        ("file:/etc/../shadow", "`..`"),
        ("file:/a\nb", "control character"),
        ("hashivault:secret#field", "mount, path and field"),
        ("hashivault:secret/path", "mount, path and field"),
        ("hashivault:secret/a//b#f", "path is empty"),
        ("hashivault:secret/a#", "field is empty"),
    ];
    for (text, reason) in table {
        let refused = VaultRef::parse(text).unwrap_err();
        assert!(refused.reason.contains(reason), "{text:?}: {refused}");
        assert!(!refused.hint.is_empty(), "{text:?}");
    }
}

#[test]
fn lengths_are_bounded_exactly() {
    let part = "k".repeat(VAULT_REF_PART_BYTES_MAX);
    assert!(VaultRef::parse(&format!("global/{part}")).is_ok());
    assert!(VaultRef::parse(&format!("global/{part}k")).unwrap_err().reason.contains("longer"));
    let path = |bytes: usize| format!("file:/{}", "p".repeat(bytes - "file:/".len()));
    assert!(VaultRef::parse(&path(VAULT_REF_BYTES_MAX)).is_ok());
    assert!(VaultRef::parse(&path(VAULT_REF_BYTES_MAX + 1)).unwrap_err().reason.contains("longer"));
}

#[test]
fn a_mistyped_scope_is_answered_with_the_nearest_one() {
    for (text, word) in [("globl/key", "`global`"), ("principle:ann/key", "`principal`"), ("enw:X/", "`env`")]
    {
        let hint = VaultRef::parse(text).unwrap_err().hint;
        assert!(hint.contains(&format!("did you mean {word}")), "{text}: {hint}");
    }
}

#[test]
fn who_changes_a_secret_is_told_only_forms_that_can_be_changed() {
    for text in
        ["github", "global", "globl/key", "env:9", "env:a-b", "file:x", "hashivault:a", "enw:X/", "a/b"]
    {
        let hint = VaultRef::parse_to_change(text).unwrap_err().hint;
        assert!(hint.contains("`global/KEY`"), "{text}: {hint}");
        for other in ["env", "file:", "hashivault"] {
            assert!(!hint.contains(other), "{text}: {hint}");
        }
    }
    assert!(VaultRef::parse_to_change("globl/key").unwrap_err().hint.contains("did you mean `global`?"));
    let long = format!("global/{}", "k".repeat(VAULT_REF_PART_BYTES_MAX + 1));
    assert_eq!(VaultRef::parse_to_change(&long).unwrap_err().hint, "shorten it");
}

#[test]
fn a_secret_pasted_in_place_of_a_reference_is_not_repeated() {
    for (pasted, shown) in [
        ("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "a text of 38 characters"),
        ("hunter2", "a text of 7 characters"),
        ("äöü", "a text of 3 characters"),
        ("deadbeef/deadbeef", "a text of 17 characters"),
        ("global", "`global`"),
        ("global/MfKQ9r8G+KYqrTwjUPD8=", "`global/…`"),
        ("env:MfKQ9r8G+KYqrTwjUPD8=", "`env:…`"),
        ("file:MfKQ9r8G+KYqrTwjUPD8=", "`file:…`"),
        ("principal:MfKQ9r8G+KYqrTwjUPD8=/x", "`principal:…`"),
    ] {
        let refused = VaultRef::parse(pasted).unwrap_err();
        assert_eq!(refused.shown, shown);
        let told = format!("{refused} {refused:?}");
        assert!(pasted == "global" || !told.contains(pasted) && !told.contains("MfKQ9r8G"), "{told}");
    }
}

proptest! {
    #[test]
    fn any_text_is_refused_or_read_without_loss(text in "\\PC{0,60}") {
        if let Ok(parsed) = VaultRef::parse(&text) {
            prop_assert_eq!(parsed.as_str(), text);
        }
    }

    #[test]
    fn every_well_formed_stored_reference_is_read(
        scope in "(global|principal:[A-Za-z0-9][A-Za-z0-9._-]{0,20}|channel:[a-z0-9]{1,9}:[a-z0-9]{1,9}|skill:[a-z]{1,9})",
        key in "[A-Za-z0-9][A-Za-z0-9._-]{0,60}",
    ) {
        let text = format!("{scope}/{key}");
        prop_assert_eq!(VaultRef::parse(&text).unwrap().keeper(), Keeper::Vault);
    }
}
