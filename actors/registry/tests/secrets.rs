//! Which secrets an integration uses, and for whom a value is of no use.

use crate::secret::Secret;
use crate::vault::VaultRef;

use super::*;

/// A public key (RFC 8032 §7.1).
const ED25519: &str = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a";

/// `disco` and `spare` need a hexadecimal key, `fb` a token beside its secret; `spare` is disabled.
const USERS: &str = r#"version = 1
[[webhooks]]
integration_id = "disco"
provider = "discord"
secret_vault_ref = "global/one"
enabled = true

[[webhooks]]
integration_id = "fb"
provider = "meta"
secret_vault_ref = "global/two"
enabled = true
parameters = { verify_token = "global/one" }

[[webhooks]]
integration_id = "gh"
provider = "github"
secret_vault_ref = "global/one"
enabled = true

[[webhooks]]
integration_id = "spare"
provider = "discord"
secret_vault_ref = "global/one"
"#;

fn all() -> Vec<Arc<Integration>> {
    Folder::with(Some(USERS)).open().list()
}

fn one(id: &str) -> Arc<Integration> {
    all().into_iter().find(|one| one.record.integration_id == id).unwrap()
}

fn named(text: &str) -> VaultRef {
    VaultRef::parse(text).unwrap()
}

fn ids(integrations: &[Arc<Integration>]) -> Vec<&str> {
    integrations.iter().map(|one| one.record.integration_id.as_str()).collect()
}

#[test]
fn the_secret_of_deliveries_comes_first_then_those_that_parameters_name() {
    let (fb, gh) = (one("fb"), one("gh"));
    let secrets: Vec<_> = fb.secrets().collect();
    let token = SecretUse::Parameter("verify_token");
    assert_eq!(secrets, [(SecretUse::Deliveries, Ok(named("global/two"))), (token, Ok(named("global/one")))]);
    assert_eq!(gh.secrets().count(), 1);
    let mut record = fb.record.clone();
    record.secret_vault_ref = None;
    record.parameters.insert("verify_token".to_owned(), "no reference".to_owned());
    let odd = Integration { record, profile: fb.profile.clone(), lent_with: None };
    assert!(matches!(odd.secrets().collect::<Vec<_>>().as_slice(), [(_, Err(_))]));
    let without_profile = Integration { record: fb.record.clone(), profile: None, lent_with: None };
    assert_eq!(without_profile.secrets().count(), 1, "which of its parameters are secrets nobody knows");
}

#[test]
fn who_uses_a_secret_is_enabled_and_names_it() {
    let all = all();
    let cases: [(&str, &[&str], &[&str]); 3] = [
        ("global/one", &["disco", "fb", "gh"], &["disco", "gh"]),
        ("global/two", &["fb"], &["fb"]),
        ("global/three", &[], &[]),
    ];
    for (name, using, verified) in cases {
        assert_eq!(ids(&users_of(&all, &named(name))), using, "{name}");
        assert_eq!(ids(&verified_with(&all, &named(name))), verified, "{name}");
    }
}

#[test]
fn a_value_is_of_no_use_to_those_whose_profile_makes_no_key_of_it() {
    let all = all();
    let useless = |name: &str, value: &str| {
        let found = made_useless(&all, &named(name), &Secret::new(value.as_bytes().to_vec()), NOW);
        found.into_iter().map(|one| one.integration_id).collect::<Vec<_>>()
    };
    assert_eq!(useless("global/one", "not hex, zz!"), ["disco"]);
    assert!(useless("global/one", ED25519).is_empty());
    assert_eq!(useless("global/one", &"00".repeat(32)), ["disco"]);
    assert!(useless("global/one", " \n").is_empty(), "the vault refuses it");
    assert!(useless("global/two", "not hex, zz!").is_empty());
}

#[test]
fn of_a_parameter_it_is_said_which_one_it_is() {
    let (deliveries, token) = (SecretUse::Deliveries, SecretUse::Parameter("verify_token"));
    let said = |what: SecretUse<'_>, status| what.told(&named("global/one"), status);
    for status in [SecretStatus::Found, SecretStatus::NotFound, SecretStatus::Unavailable("why".to_owned())] {
        assert_eq!(said(deliveries, status.clone()), status);
    }
    assert_eq!(said(token, SecretStatus::Found), SecretStatus::Found);
    for (status, part) in [
        (SecretStatus::NotFound, "palyra vault put global/one"),
        (SecretStatus::Unavailable("it is locked".to_owned()), "it is locked"),
    ] {
        let SecretStatus::NoToken(why) = said(token, status) else { panic!("{part}") };
        assert!(why.contains("`parameters.verify_token`") && why.contains(part), "{why}");
    }
}
