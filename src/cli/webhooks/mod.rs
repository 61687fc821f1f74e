//! `palyra webhooks`: the integrations, from the first `add` to a signed delivery sent through the real ingress.

mod args;
mod explained;
mod view;

use std::path::Path;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use palyra_actors::ids::canonical;
use serde_json::{Map, Value, json};
use ureq::http::Method;

pub use args::WebhooksCommand;
use args::{AddArgs, ListArgs, SendArgs, SetArgs, TestArgs};

use super::client::{ConsoleClient, route, with_query};
use super::context::{Context, Need};
use super::error::CliError;
use super::input;
use super::view::{is_true, items, text};
use crate::exit::Exit;

/// Runs a command for integrations.
pub fn run(command: WebhooksCommand, context: &Context) -> Result<Exit, CliError> {
    match command {
        WebhooksCommand::Add(args) => add(&args, context),
        WebhooksCommand::Set(args) => set(&args, context),
        WebhooksCommand::List(args) => list(&args, context),
        WebhooksCommand::Show(args) => show(&args.id, context),
        WebhooksCommand::Enable(args) => set_enabled(&args.id, true, context),
        WebhooksCommand::Disable(args) => set_enabled(&args.id, false, context),
        WebhooksCommand::Remove(args) => remove(&args.id, context),
        WebhooksCommand::Test(args) => test(&args, context),
        WebhooksCommand::Send(args) => send(&args, context),
        WebhooksCommand::Explain(args) => explain(&args.subject, context),
    }
}

fn add(args: &AddArgs, context: &Context) -> Result<Exit, CliError> {
    let connection = context.connect(Need::DaemonOrOffline)?;
    check_keys(args, &connection.client)?;
    let added = connection.client.post(&route(&["webhooks"]), &args.draft())?;
    context.out.answer(&added, view::added)?;
    let is_as_asked = args.disabled || is_true(&added, "enabled");
    if !is_as_asked {
        warn_not_ready(&added, context);
    }
    warn_if_open(&added, &connection.client, context);
    Ok(if is_as_asked { Exit::Ok } else { Exit::Failed })
}

/// Refuses an integration for which nothing says how its deliveries are verified, or that relies on published keys its
/// provider does not have.
fn check_keys(args: &AddArgs, client: &ConsoleClient) -> Result<(), CliError> {
    if args.says_what_verifies() && !args.published_keys {
        return Ok(());
    }
    let (id, provider) = (&args.id, canonical(&args.provider));
    let profile = client.get(&route(&["providers", &provider]))?;
    let add = format!("palyra webhooks add {id} {provider}");
    let with_secret = format!("palyra vault put global/{id} < SECRET_FILE && {add} --secret-ref global/{id}");
    let (told, next) = match (text(&profile, "keys"), args.published_keys) {
        ("published", true) => return Ok(()),
        ("published", false) => {
            ("publishes its keys, but --published-keys is missing", format!("{add} --published-keys"))
        }
        ("none", _) => (
            "signs nothing, but --allow-unsigned is missing",
            format!("{add} --allow-unsigned (anybody can then post to it)"),
        ),
        (_, true) => ("publishes no keys and needs a secret", with_secret),
        (_, false) => ("needs a secret, but --secret-ref is missing", with_secret),
    };
    Err(CliError::usage(format!("`{provider}` {told}")).hint(next))
}

fn set(args: &SetArgs, context: &Context) -> Result<Exit, CliError> {
    let amendment = args.amendment();
    if amendment.is_empty() {
        let nothing = CliError::usage("no setting is given, so there is nothing to change");
        return Err(nothing.hint("`palyra webhooks set --help` lists the settings"));
    }
    let body = Value::Object(amendment).to_string();
    let connection = context.connect(Need::DaemonOrOffline)?;
    let path = route(&["webhooks", &args.id]);
    let changed = connection.client.send(Method::PATCH, &path, body.as_bytes())?;
    context.out.answer(&changed, view::details)?;
    if !is_true(&changed, "enabled") && items(&changed, "issues").next().is_some() {
        warn_not_ready(&changed, context);
    }
    warn_if_open(&changed, &connection.client, context);
    Ok(Exit::Ok)
}

fn warn_if_open(integration: &Value, client: &ConsoleClient, context: &Context) {
    if is_true(integration, "signature_required") {
        return;
    }
    let (id, provider) = (text(integration, "integration_id"), text(integration, "provider"));
    // If the profile cannot be read, it is taken for one that signs.
    let profile = client.get(&route(&["providers", provider])).unwrap_or_default();
    let mut next = "keep the address off the public network".to_owned();
    if text(&profile, "keys") != "none" {
        next.push_str(&format!(", or run `palyra webhooks set {id} --require-signature --secret-ref REF`"));
    }
    context.out.warn("no signature is required: anybody who knows the address can post to it", &next);
}

/// Warns that an integration is stored disabled: why, and the commands that make it ready.
fn warn_not_ready(added: &Value, context: &Context) {
    let id = text(added, "integration_id");
    let issues: Vec<String> = items(added, "issues").map(super::view::show).collect();
    let why = if issues.is_empty() { text(added, "readiness").to_owned() } else { issues.join("; ") };
    let vault_ref = text(added, "secret_vault_ref");
    let elsewhere = ["env:", "file:"].iter().any(|scheme| vault_ref.starts_with(scheme));
    let next = match text(added, "readiness") {
        "secret_not_found" if !elsewhere => {
            format!("palyra vault put {vault_ref} < SECRET_FILE && palyra webhooks enable {id}")
        }
        _ => format!("correct this, then run `palyra webhooks enable {id}`"),
    };
    context.out.warn(&format!("{id} is stored disabled because it is not ready: {why}"), &next);
}

fn list(args: &ListArgs, context: &Context) -> Result<Exit, CliError> {
    let connection = context.connect(Need::DaemonOrOffline)?;
    let enabled = args.enabled.map(|enabled| enabled.to_string());
    let listed =
        with_query(route(&["webhooks"]), &[("provider", args.provider.clone()), ("enabled", enabled)]);
    let webhooks = connection.client.get(&listed)?;
    context.out.answer(&webhooks, |webhooks| context.out.table_text(&view::table(webhooks)))?;
    if items(&webhooks, "webhooks").any(|one| text(one, "url").starts_with('/')) {
        let known_by = view::KNOWN_BY;
        context
            .out
            .note(&format!("the urls lack the address at which senders reach the ingress: set {known_by}"));
    }
    if items(&webhooks, "webhooks").next().is_none() {
        context
            .out
            .note("no integration matches; add one with `palyra webhooks add ID PROVIDER --secret-ref REF`");
    }
    Ok(Exit::Ok)
}

fn show(id: &str, context: &Context) -> Result<Exit, CliError> {
    let connection = context.connect(Need::DaemonOrOffline)?;
    let integration = connection.client.get(&route(&["webhooks", id]))?;
    context.out.answer(&integration, view::details)?;
    Ok(Exit::Ok)
}

fn explain(subject: &str, context: &Context) -> Result<Exit, CliError> {
    let connection = context.connect(Need::DaemonOrOffline)?;
    let explained = connection.client.get(&route(&["explain", subject]))?;
    context.out.answer(&explained, |explained| explained::text(explained, &context.out))?;
    if items(&explained, "refusals").next().is_some() {
        context.out.note("`palyra webhooks explain` with the id of a refusal says what to do about it");
    }
    Ok(Exit::Ok)
}

fn set_enabled(id: &str, enabled: bool, context: &Context) -> Result<Exit, CliError> {
    let connection = context.connect(Need::DaemonOrOffline)?;
    let changed =
        connection.client.post(&route(&["webhooks", id, "enabled"]), &json!({ "enabled": enabled }))?;
    let word = if enabled { "enabled" } else { "disabled" };
    context.out.done(&changed, &format!("{word} {}", text(&changed, "integration_id")))?;
    Ok(Exit::Ok)
}

fn remove(id: &str, context: &Context) -> Result<Exit, CliError> {
    let connection = context.connect(Need::DaemonOrOffline)?;
    let removed = connection.client.delete(&route(&["webhooks", id]))?;
    context.out.done(
        &removed,
        &format!("removed {}; its events stay in the journal", text(&removed, "integration_id")),
    )?;
    Ok(Exit::Ok)
}

fn test(args: &TestArgs, context: &Context) -> Result<Exit, CliError> {
    let payload = payload_base64(args.payload_file.as_deref(), context)?;
    let headers: Vec<[&str; 2]> = args.header.iter().map(|header| [&*header.name, &*header.value]).collect();
    let connection = context.connect(Need::Daemon)?;
    let body = json!({
        "headers": headers,
        "query": args.query,
        "payload_base64": payload,
        "at_unix_ms": args.at.map(|at| at.0),
    });
    let outcome = connection.client.post(&route(&["webhooks", &args.id, "test"]), &body)?;
    context.out.answer(&outcome, view::test_outcome)?;
    if let Some(problem) = outcome.get("not_kept").filter(|problem| problem.is_object()) {
        let CliError { message, hint, .. } = CliError::problem(503, Some(problem), None);
        let next = hint.unwrap_or_else(|| "`palyra system heartbeat` says what is wrong".to_owned());
        context.out.warn(&format!("the result was not stored: {message}"), &next);
    }
    Ok(if is_true(&outcome, "passed") { Exit::Ok } else { Exit::Failed })
}

fn send(args: &SendArgs, context: &Context) -> Result<Exit, CliError> {
    let payload = match &args.payload_file {
        Some(file) => Some(payload_base64(Some(file), context)?),
        None => None,
    };
    let private_key = match &args.private_key_file {
        Some(file) => Some(input::secret(Some(file), &mut std::io::empty())?),
        None => None,
    };
    let connection = context.connect(Need::Daemon)?;
    let members =
        [("event", json!(args.event)), ("payload_base64", json!(payload)), ("mutate", json!(args.mutate))];
    let members: Map<_, _> = members.map(|(name, value)| (name.to_owned(), value)).into_iter().collect();
    let route = route(&["webhooks", &args.id, "dispatch"]);
    let sent = match &private_key {
        Some(key) => {
            let secret = ("private_key_base64", key.as_slice());
            connection.client.send_with_secret(Method::POST, &route, &members, secret)?
        }
        None => connection.client.post(&route, &Value::Object(members))?,
    };
    context.out.answer(&sent, view::sent)?;
    Ok(if view::as_expected(&sent) { Exit::Ok } else { Exit::Failed })
}

fn payload_base64(file: Option<&Path>, context: &Context) -> Result<String, CliError> {
    Ok(BASE64_STANDARD.encode(input::payload(file, &mut **context.stdin.borrow_mut())?))
}

#[cfg(test)]
mod tests;
