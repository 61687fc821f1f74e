//! `webhooks send`: makes a delivery as the provider would, optionally corrupts it, and posts it to the real ingress.

mod posting;

use std::sync::Arc;
use std::time::Duration;

use actix_web::HttpResponse;
use actix_web::web::{self, Data, Json, Path, ServiceConfig};
use palyra_actors::limits::WEBHOOK_NAME_CHARS_MAX;
use palyra_actors::provider::{MadeRequest, Mutation, Profile, SignDraft};
use palyra_actors::registry::Integration;
use palyra_actors::secret::SecretVersions;
use palyra_actors::vault::Resolve;
use serde::Deserialize;
use serde_json::json;
use tokio::time::{Instant, timeout_at};
use zeroize::Zeroizing;

use self::posting::{Posted, post_to_ingress};
use super::audit::Change;
use super::input::decoded;
use super::webhooks::{find, gone};
use crate::http::problem::{Kind, Problem};
use crate::random::random_u128;
use crate::service::AppState;
use crate::service::cause::Cause;

/// Time limit for signing and for all answers of the ingress together. Shorter than the time-out of a console client.
const SEND_DEADLINE: Duration = Duration::from_secs(25);

/// `/webhooks/{id}/dispatch`.
pub fn routes(config: &mut ServiceConfig) {
    config.route("/webhooks/{id}/dispatch", web::post().to(dispatch));
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Dispatch {
    event: String,
    payload_base64: Option<String>,
    private_key_base64: Option<Zeroizing<String>>,
    mutate: Option<Mutation>,
}

/// Signs as the provider would, and posts to the ingress over HTTP like any sender.
async fn dispatch(
    app: Data<AppState>,
    id: Path<String>,
    order: Json<Dispatch>,
) -> Result<HttpResponse, Problem> {
    let deadline = Instant::now() + SEND_DEADLINE;
    check_event(&order.event)?;
    let integration = find(&app, &id).await?;
    check_enabled(&integration)?;
    let missing = || Problem::new(Kind::Invalid).detail("its provider profile is missing");
    let profile = integration.profile.clone().ok_or_else(missing)?;
    let unserved = || Problem::new(Kind::Unavailable).detail("the daemon does not serve its ingress");
    let url = app.local_url(&integration.record.integration_id).ok_or_else(unserved)?;
    let expected = expected(&order, &integration, &profile)?;
    let late = |_| Problem::new(Kind::Unavailable).detail("the delivery could not be signed in time");
    let signed = sign(&app, &order, &integration, &profile);
    let signed = timeout_at(deadline, signed).await.map_err(late)??;
    // Names only: a header value may be the secret itself.
    let headers: Vec<String> = signed.headers.iter().map(|(name, _)| name.clone()).collect();
    let twice = order.mutate == Some(Mutation::Duplicate);
    let (posted_to, integration_id) = (url.clone(), integration.record.integration_id.clone());
    let send = async move {
        let posted = post_to_ingress(posted_to, signed, twice, deadline).await;
        posted.map_err(|unanswered| unanswered.problem(&integration_id))
    };
    let change = Change::new("registry.webhook.send", &id)
        .particulars(json!({"event": order.event, "mutate": order.mutate}));
    let Posted { status, answer, refusal } = change.journaled(&app, send).await?;
    Ok(HttpResponse::Ok().json(json!({
        "url": url,
        "headers": headers,
        "status": status,
        "expected_status": expected,
        "answer": answer,
        "refusal": refusal,
    })))
}

/// Event names follow the rule of the envelope.
fn check_event(event: &str) -> Result<(), Problem> {
    if (1..=WEBHOOK_NAME_CHARS_MAX).contains(&event.chars().count()) {
        return Ok(());
    }
    let detail = format!("`event` must have 1 to {WEBHOOK_NAME_CHARS_MAX} characters");
    Err(Problem::new(Kind::Invalid).detail(detail))
}

/// A disabled integration answers 404 to every delivery, so nothing is sent to it.
fn check_enabled(integration: &Integration) -> Result<(), Problem> {
    let id = &integration.record.integration_id;
    if integration.record.enabled {
        return Ok(());
    }
    let hint = format!("run `palyra webhooks enable {id}` first");
    Err(Problem::new(Kind::Invalid)
        .detail(format!("`{id}` is disabled, so its senders are answered 404"))
        .hint(Some(hint)))
}

/// The status with which a mutated delivery should be answered; `None` for one that is not mutated.
fn expected(order: &Dispatch, integration: &Integration, profile: &Profile) -> Result<Option<u16>, Problem> {
    let Some(mutation) = order.mutate else { return Ok(None) };
    // A profile that signs nothing is answered below, because no secret would change that.
    if profile.authenticates()
        && has_nothing_to_sign_with(integration)
        && !matches!(mutation, Mutation::Duplicate | Mutation::DropHeader)
    {
        let detail = "it has no secret and requires no signature, so there is no signature to corrupt";
        let hint = "`duplicate` and `drop-header` work without a secret; for the other mutations set one with --secret-ref";
        return Err(Problem::new(Kind::Invalid).detail(detail).hint(Some(hint.to_owned())));
    }
    let answer = profile.answer_to(mutation, integration.record.signature_required);
    let lacks = || {
        let detail = format!("this mutation does not apply to deliveries of `{}`", profile.name());
        Problem::new(Kind::Invalid)
            .detail(detail)
            .hint(Some("`duplicate` works with every provider".to_owned()))
    };
    answer.map(Some).ok_or_else(lacks)
}

fn has_nothing_to_sign_with(integration: &Integration) -> bool {
    !integration.record.signature_required && integration.record.secret_vault_ref.is_none()
}

/// Builds a request as the provider would send it; unsigned if there is no key and none is required.
async fn sign(
    app: &AppState,
    order: &Dispatch,
    integration: &Integration,
    profile: &Profile,
) -> Result<MadeRequest, Problem> {
    let payload = order.payload_base64.as_deref().map(|text| decoded("payload_base64", text)).transpose()?;
    let private_key = order.private_key_base64.as_ref().map(|text| decoded("private_key_base64", text));
    let private_key = private_key.transpose()?.map(Zeroizing::new);
    if integration.takes_published_keys() {
        let detail =
            "it is verified with the provider's published keys, and only the provider can sign with those";
        let hint = "try a key pair of your own: make an integration whose --secret-ref names its public key";
        return Err(Problem::new(Kind::Invalid).detail(detail).hint(Some(hint.to_owned())));
    }
    let age_seconds = match order.mutate {
        Some(Mutation::Timestamp) => profile.age_refused_seconds().unwrap_or_default(),
        _ => 0,
    };
    let draft = SignDraft {
        event: &order.event,
        payload: payload.as_deref(),
        now: app.clock.now_unix_ms().saturating_sub(age_seconds.saturating_mul(1_000)),
        random: random_u128(),
        url: &app.signed_url(&integration.record.integration_id),
        parameters: &integration.record.parameters,
        private_key: private_key.as_ref().map(|key| key.as_slice()),
        mutation: order.mutate,
    };
    let signed = if has_nothing_to_sign_with(integration) {
        profile.make_unsigned(&draft)
    } else {
        let keys = resolve(app, integration).await?;
        let missing = || Problem::new(Kind::Invalid).detail("the integration's secret has no version");
        profile.sign(&draft, keys.current().ok_or_else(missing)?)
    };
    signed.map_err(|error| Problem::new(Kind::Invalid).detail(error.to_string()))
}

/// The keys of an integration, or a problem that says what is missing.
async fn resolve(app: &AppState, integration: &Integration) -> Result<Arc<SecretVersions>, Problem> {
    let missing = || Problem::new(Kind::Invalid).detail("the integration names no secret");
    let vault_ref = integration.record.vault_ref().ok_or_else(missing)?;
    let vault_ref = vault_ref.map_err(|error| Problem::new(Kind::Invalid).detail(error.to_string()))?;
    let asked = app.before_deadline(Cause::Vault, app.actors.vault.ask(Resolve(vault_ref))).await;
    let late = |late| Problem::new(Kind::Unavailable).detail(format!("the secret was not read: {late}"));
    let resolved = asked.map_err(late)?.map_err(gone)?;
    resolved.map_err(|error| Problem::unavailable(&error).hint(Some(error.hint())))
}
