//! Secrets that a profile cannot use: the integration is not ready, and says what it needs.

use std::collections::{BTreeMap, BTreeSet};

use super::*;
use crate::registry::{Integration, IntegrationRecord, Readiness, ReadinessReport, readiness};
use crate::vault::{SecretStatus, VaultRef};

/// A text that is not valid hexadecimal, Base64, PEM or JSON.
const NO_FORM: &str = "not hex, zz!";

/// Names of profiles that need a secret of this form, what they call it, and secrets that are almost of it.
const FORMS: [(&[&str], &str, &[&str]); 9] = [
    (&["adyen", "adyen-platform"], "hexadecimal", &["abc", "0x0a"]),
    (&["airtable"], "Base64", &["a-_b"]),
    (
        &[
            "anthropic",
            "clerk",
            "gitlab-signing",
            "openai",
            "replicate",
            "resend",
            "standard-webhooks",
            "svix",
        ],
        "Base64 after `whsec_`",
        &["whsec_", "whsec_a", "whpk_AAAA"],
    ),
    (&["discord"], "hexadecimal", &["abc", "00112233"]),
    (&["telnyx"], "Base64", &["a-_b", "AAAA"]),
    (&["standard-webhooks-v1a"], "Base64 after `whpk_`", &["whpk_", "whpk_AAAA", "whsec_AAAA"]),
    (&["sendgrid"], "a public key in Base64", &["AAAA"]),
    (&["aws-sns", "paypal"], "a certificate with an RSA key", &["AAAA", "-----BEGIN CERTIFICATE-----"]),
    (&["google-pubsub"], "a JWK set", &["{}", "{\"keys\": []}", "{\"keys\": [{\"n\": \"AQAB\"}]}"]),
];

/// The integration `in` of `profile` under `global/x`, enabled.
fn integration(profile: &Arc<Profile>) -> Integration {
    let mut record: IntegrationRecord = serde_json::from_value(serde_json::json!({
        "integration_id": "in", "provider": profile.name(), "secret_vault_ref": "global/x", "enabled": true
    }))
    .unwrap();
    record.parameters = profile.parameters().iter().map(|name| (name.clone(), "any".to_owned())).collect();
    Integration { record, profile: Some(Arc::clone(profile)), lent_with: None }
}

fn report(profile: &Arc<Profile>, keys: &SecretVersions) -> ReadinessReport {
    readiness(&integration(profile), &SecretStatus::of_versions(profile, keys, NOW))
}

/// An Ed25519 public key in Base64.
const ED25519: &str = "7dFUOiqfgewxvNmf8cF2LCgmSCGhc71Rmlz7ICNZI1k=";

/// A key of each profile that has vectors, and of one that has none.
fn good_keys() -> BTreeMap<String, SecretVersions> {
    let cases = vectors::all_lines();
    let accepted = cases.iter().map(vectors::case).filter(|case| case.expected().end == CaseEnd::Accept);
    let of_vectors = accepted.filter_map(|case| Some((case.provider.clone(), case.keys()?)));
    of_vectors.chain([("telnyx".to_owned(), keys(ED25519))]).collect()
}

#[test]
fn a_secret_that_a_profile_cannot_use_is_no_readiness_and_says_what_it_needs() {
    for (names, form, almost) in FORMS {
        for (name, bad) in
            names.iter().flat_map(|name| almost.iter().chain([&NO_FORM]).map(move |bad| (name, bad)))
        {
            let report = report(&profile(name), &keys(bad));
            assert_eq!(report.readiness, Readiness::SecretUnavailable, "{name} with {bad}");
            let [issue] = report.issues.as_slice() else { panic!("{name}: {:?}", report.issues) };
            for part in ["`in`", "version 1", "`global/x`", "`palyra vault put global/x`"] {
                assert!(issue.contains(part), "{name}: {issue}");
            }
            assert!(*bad != NO_FORM || issue.contains(form), "{name}: {issue}");
            assert!(!issue.replace(form, "").contains(bad), "{name}: {issue}");
        }
    }
}

#[test]
fn every_built_in_profile_is_ready_with_a_secret_it_can_use_and_only_those_with_a_form_refuse_any() {
    let catalogue = Catalogue::built_in().unwrap();
    let (good, with_form) = (good_keys(), FORMS.iter().flat_map(|(names, ..)| *names));
    let refusing: BTreeSet<&str> = with_form.copied().collect();
    for name in catalogue.names() {
        let profile = profile(name);
        let any = report(&profile, &keys(NO_FORM)).readiness;
        assert_eq!(any == Readiness::SecretUnavailable, refusing.contains(name), "{name}: {any:?}");
        match good.get(name) {
            Some(keys) => assert_eq!(report(&profile, keys).readiness, Readiness::Ready, "{name}"),
            None if profile.authenticates() => {
                assert_eq!(any, Readiness::Ready, "{name} has no vectors, and takes any secret");
            }
            None => assert_eq!(any, Readiness::InvalidConfiguration, "{name} signs nothing"),
        }
    }
}

#[test]
fn every_version_of_a_secret_must_be_usable_and_the_one_that_is_not_is_named() {
    let report = report(&profile("adyen"), &versions(&["00ff", NO_FORM]));
    assert!(report.issues[0].contains("version 1"), "{report:?}");
    assert!(!report.can_be_enabled());
}

#[test]
fn what_is_accepted_beside_a_version_that_cannot_be_used_is_told_with_a_remedy_that_keeps_it() {
    let (adyen, newer) = (profile("adyen"), "`palyra vault rotate global/x < FILE` replaces version 2");
    for (secrets, accepts_some, remedy) in [
        (&["zz", "00ff"][..], true, newer),
        (&["00ff", "zz"], true, "`palyra vault retire global/x` ends version 1"),
        (&["zz", "yy"], false, "store it with `palyra vault put global/x`"),
    ] {
        let report = report(&adyen, &versions(secrets));
        assert_eq!(report.accepts_some, accepts_some, "{secrets:?}");
        assert!(report.issues[0].contains(remedy), "{report:?}");
        assert_eq!(report.issues[0].contains("vault put"), !accepts_some, "{report:?}");
    }
    let mut open = integration(&adyen);
    open.record.signature_required = false;
    let unusable = SecretStatus::of_versions(&adyen, &keys("zz"), NOW);
    assert!(readiness(&open, &unusable).accepts_some, "deliveries that are not signed");
}

#[test]
fn without_the_token_of_a_handshake_deliveries_are_accepted_and_with_a_value_in_memory_for_a_time() {
    let mut meta = integration(&profile("meta"));
    meta.record.parameters.clear();
    assert!(readiness(&meta, &SecretStatus::Found).accepts_some);
    assert!(!readiness(&meta, &SecretStatus::NotFound).accepts_some, "nothing verifies them");
    let (discord, vault_ref) = (integration(&profile("discord")), |text| VaultRef::parse(text).unwrap());
    let gone = readiness(&discord, &SecretStatus::NotFound);
    for (name, limit) in [("global/x", "until the daemon restarts"), ("file:/run/x", "for up to 60 s")] {
        assert_eq!(gone.clone().with_remembered(&vault_ref(name), || false), gone, "nothing in memory");
        let report = gone.clone().with_remembered(&vault_ref(name), || true);
        assert!(report.accepts_some && report.issues[1].contains(limit), "{report:?}");
    }
    let ready = readiness(&discord, &SecretStatus::Found);
    let asked = || panic!("what is ready needs nothing of the memory");
    assert_eq!(ready.clone().with_remembered(&vault_ref("global/x"), asked), ready);
}

#[test]
fn an_integration_that_needs_no_secret_of_its_own_is_not_held_to_one() {
    let mut open = integration(&profile("discord"));
    open.record.signature_required = false;
    assert_eq!(
        readiness(&open, &SecretStatus::NotFound).readiness,
        Readiness::SecretNotFound,
        "it names one"
    );
    open.record.secret_vault_ref = None;
    assert_eq!(readiness(&open, &SecretStatus::NotFound).readiness, Readiness::Ready);
    open.record.secret_vault_ref = Some("global/a".to_owned());
    let unusable = SecretStatus::of_versions(&profile("discord"), &keys(NO_FORM), NOW);
    assert!(!readiness(&open, &unusable).can_be_enabled(), "signed deliveries could not be verified");
    let mut published = integration(&profile("google-pubsub"));
    published.record.secret_vault_ref = None;
    assert_eq!(readiness(&published, &SecretStatus::Found).readiness, Readiness::Ready);
}

#[test]
fn a_parameter_that_is_blank_is_one_that_is_missing() {
    let mut paypal = integration(&profile("paypal"));
    paypal.record.parameters.insert("webhook_id".to_owned(), " ".to_owned());
    let report = readiness(&paypal, &SecretStatus::Found);
    assert_eq!(report.readiness, Readiness::InvalidConfiguration);
    let id = &paypal.record.integration_id;
    let command = format!("palyra webhooks set {id} --parameter webhook_id=VALUE");
    assert_eq!(report.issues, [format!("it needs `parameters.webhook_id`: `{command}`")]);
}

#[test]
fn a_secret_that_is_not_there_is_to_be_provided_where_it_is_kept() {
    let mut integration = integration(&profile("github"));
    for (vault_ref, remedy) in [
        ("global/x", "store it with `palyra vault put global/x`"),
        ("env:NOPE", "set the variable `NOPE` in the daemon's environment and restart it"),
        ("file:/run/x", "write the secret to `/run/x` and run `chmod 600 /run/x`"),
    ] {
        integration.record.secret_vault_ref = Some(vault_ref.to_owned());
        let report = readiness(&integration, &SecretStatus::NotFound);
        assert_eq!(report.issues, [format!("there is no secret `{vault_ref}`: {remedy}")]);
    }
}
