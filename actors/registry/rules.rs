//! The rules for an integration that a schema cannot express.

use std::collections::HashSet;

use super::record::IntegrationRecord;
use crate::ids::{canonical, is_canonical_id, nearest};
use crate::limits::{DISPLAY_NAME_BYTES_MAX, REPLAY_WINDOW_SECONDS_MAX};
use crate::provider::Catalogue;
use crate::vault::VaultRef;

/// Ids that would collide with other paths of the console.
const RESERVED: [&str; 1] = ["diagnostics"];

/// A violated rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Breach {
    pub field: &'static str,
    /// What is wrong with it.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
}

fn breach(field: &'static str, message: impl Into<String>, hint: Option<String>) -> Breach {
    Breach { field, message: message.into(), hint }
}

/// The remedy for a field that the schema refuses, by its JSON pointer.
pub fn remedy(pointer: &str) -> Option<String> {
    let entries = |name: &&str| name.bytes().all(|byte| byte.is_ascii_digit());
    let field = pointer.rsplit('/').find(|name| !entries(name))?;
    let remedy = match field {
        "version" => "write `version = 1` as the first line",
        "webhooks" => "write `[[webhooks]]`, in double brackets, above each integration",
        "integration_id" => "write an id of your choice in quotes: `integration_id = \"github\"`",
        "provider" => "write the name of a profile in quotes; `palyra providers list` shows them",
        "secret_vault_ref" => "write a reference in quotes: `secret_vault_ref = \"global/github\"`",
        "allowed_events" => {
            "write a list of at most 64 entries of 1 to 128 characters: `allowed_events = [\"push\"]`"
        }
        "allowed_sources" => {
            "write a list of at most 64 entries of 1 to 128 characters: `allowed_sources = [\"octo/hello\"]`"
        }
        "enabled" | "signature_required" | "last_test_passed" => "write `true` or `false`, without quotes",
        "on_filtered" => "write `\"accept\"` or `\"reject\"`",
        "max_payload_bytes" => "write a whole number, 1 to 26214400, without quotes",
        "replay_window_seconds" => "write a whole number of 1 or more, without quotes",
        "unsigned_rate_per_second" => "write a whole number, 1 to 10000, without quotes",
        "display_name" => "write a text of 1 to 128 bytes in quotes",
        "parameters" => "write a table of texts: `parameters = { name = \"value\" }`",
        _ => return None,
    };
    Some(remedy.to_owned())
}

/// Normalises a record: trimmed, lower-cased, without duplicates, with its default values.
pub fn normalise(record: &mut IntegrationRecord) {
    record.integration_id = canonical(&record.integration_id);
    record.provider = canonical(&record.provider);
    if record.display_name.is_empty() {
        record.display_name = record.integration_id.clone();
    }
    for list in [&mut record.allowed_events, &mut record.allowed_sources] {
        let mut seen = HashSet::new();
        list.retain(|entry| seen.insert(entry.clone()));
    }
}

/// Checks a normalised record.
///
/// # Errors
/// The first violated rule.
pub fn check(
    record: &IntegrationRecord,
    catalogue: &Catalogue,
    payload_bytes_cap: u64,
) -> Result<(), Breach> {
    check_id(&record.integration_id)?;
    check_provider(&record.provider, catalogue)?;
    if record.display_name.len() > DISPLAY_NAME_BYTES_MAX || record.display_name.chars().any(char::is_control)
    {
        let hint = "shorten it to one line of text".to_owned();
        return Err(breach(
            "display_name",
            "is longer than 128 bytes or contains control characters",
            Some(hint),
        ));
    }
    check_secret(record, catalogue)?;
    check_parameters(record, catalogue)?;
    if record.max_payload_bytes > payload_bytes_cap {
        let hint = "raise `payload_bytes_cap` in palyra.toml, up to 26214400".to_owned();
        let message = format!("{} exceeds the daemon's cap of {payload_bytes_cap}", record.max_payload_bytes);
        return Err(breach("max_payload_bytes", message, Some(hint)));
    }
    check_rate(record.unsigned_rate_per_second, record.signature_required)?;
    check_window(record, catalogue)
}

/// Refuses references that this version cannot read. They are accepted in the file, where such an integration is not ready.
///
/// # Errors
/// Which reference it is.
pub fn check_supported(record: &IntegrationRecord, catalogue: &Catalogue) -> Result<(), Breach> {
    let profile = catalogue.get(&record.provider);
    let names = profile.iter().flat_map(|profile| profile.secret_parameters());
    let of_parameters = names.filter_map(|name| Some(("parameters", record.parameters.get(name)?)));
    let own = record.secret_vault_ref.iter().map(|text| ("secret_vault_ref", text));
    for (field, text) in own.chain(of_parameters) {
        let Ok(vault_ref) = VaultRef::parse(text) else { continue };
        if !vault_ref.is_supported() {
            let message =
                format!("`{vault_ref}` cannot be used: `hashivault:` is not supported in this version");
            return Err(breach(field, message, Some(vault_ref.how_to_provide())));
        }
    }
    Ok(())
}

/// Refuses a rate for unsigned deliveries if none are accepted.
///
/// # Errors
/// That the rate would have no effect.
pub fn check_rate(named: Option<u32>, signature_required: bool) -> Result<(), Breach> {
    if named.is_none() || !signature_required {
        return Ok(());
    }
    let hint =
        "leave it out, or accept unsigned deliveries (`signature_required = false`, `--allow-unsigned`)"
            .to_owned();
    let message = "limits unsigned deliveries, but this integration requires a signature";
    Err(breach("unsigned_rate_per_second", message, Some(hint)))
}

/// Refuses parameters that the profile does not know, which are probably misspelt, and secret parameters that are not
/// vault references.
fn check_parameters(record: &IntegrationRecord, catalogue: &Catalogue) -> Result<(), Breach> {
    let Some(profile) = catalogue.get(&record.provider) else { return Ok(()) };
    for name in profile.secret_parameters() {
        if let Some(Err(invalid)) = record.parameters.get(name).map(|text| VaultRef::parse(text)) {
            let message = format!("`{name}` is a secret and must be given by its vault reference: {invalid}");
            let hint =
                format!("store it with `palyra vault put global/NAME` and set `{name}` to `global/NAME`");
            return Err(breach("parameters", message, Some(hint)));
        }
    }
    let known = profile.parameters();
    let Some(unknown) = record.parameters.keys().find(|name| !known.contains(name)) else { return Ok(()) };
    let near = nearest(unknown, known.iter().map(String::as_str));
    let hint = near.map(|near| format!("did you mean `{near}`?"));
    Err(breach("parameters", format!("`{}` has no parameter `{unknown}`", record.provider), hint))
}

fn check_id(id: &str) -> Result<(), Breach> {
    if !is_canonical_id(id) {
        let shown: String = id.escape_debug().take(64).collect();
        let hint = "use 1–64 of `a-z 0-9 . _ -`, starting with a letter or digit".to_owned();
        return Err(breach("integration_id", format!("`{shown}` is not a canonical id"), Some(hint)));
    }
    if RESERVED.contains(&id) {
        let hint = "choose another id".to_owned();
        return Err(breach("integration_id", format!("`{id}` is reserved"), Some(hint)));
    }
    Ok(())
}

fn check_provider(name: &str, catalogue: &Catalogue) -> Result<(), Breach> {
    if catalogue.get(name).is_some() {
        return Ok(());
    }
    let hint = match catalogue.nearest(name) {
        Some(near) => format!("did you mean `{near}`?"),
        None => "`palyra providers list` shows all providers".to_owned(),
    };
    let shown: String = name.escape_debug().take(64).collect();
    Err(breach("provider", format!("unknown provider `{shown}`"), Some(hint)))
}

fn check_secret(record: &IntegrationRecord, catalogue: &Catalogue) -> Result<(), Breach> {
    match record.vault_ref() {
        Some(Ok(_)) => Ok(()),
        Some(Err(error)) => Err(breach("secret_vault_ref", error.to_string(), Some(error.hint))),
        None if !record.signature_required => Ok(()),
        None if publishes_keys(record, catalogue) => Ok(()),
        None => {
            let hint =
                "name a secret, for example `global/github`, and store it with `palyra vault put`".to_owned();
            let keys = match catalogue.get(&record.provider) {
                Some(profile) if profile.authenticates() => " and the provider publishes no keys",
                _ => "",
            };
            let message = format!("is missing: a signature is required{keys}");
            Err(breach("secret_vault_ref", message, Some(hint)))
        }
    }
}

fn publishes_keys(record: &IntegrationRecord, catalogue: &Catalogue) -> bool {
    catalogue.get(&record.provider).is_some_and(|profile| profile.publishes_keys())
}

/// Refuses a window shorter than the tolerance: a delivery could be replayed after the window while its signature is
/// still fresh.
fn check_window(record: &IntegrationRecord, catalogue: &Catalogue) -> Result<(), Breach> {
    let Some(window) = record.replay_window_seconds else { return Ok(()) };
    let least = catalogue.get(&record.provider).map_or(1, |profile| profile.replay_window_seconds_min());
    if (least..=REPLAY_WINDOW_SECONDS_MAX).contains(&window) {
        return Ok(());
    }
    let message = format!("{window} is not within {least} to {REPLAY_WINDOW_SECONDS_MAX}");
    let hint = "the window must cover the provider's timestamp tolerance on both sides".to_owned();
    Err(breach("replay_window_seconds", message, Some(hint)))
}
