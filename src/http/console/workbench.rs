//! `webhooks test`: every check of a captured delivery in order, and nothing stored but the result.

use actix_web::HttpResponse;
use actix_web::web::{self, Data, Json, Path, ServiceConfig};
use palyra_actors::provider::{Body, Profile, Request, VerifyError};
use palyra_actors::registry::{Integration, RecordTest};
use palyra_actors::secret::SecretVersions;
use palyra_actors::vault::Resolve;
use serde::Deserialize;
use serde_json::{Value, json};
use std::sync::Arc;

use super::audit::Change;
use super::input::decoded;
use super::webhooks::{find, gone, problem_of};
use crate::http::Gate;
use crate::http::judge::{self, Judgement, Names};
use crate::http::problem::{Kind, Problem};

/// `/webhooks/{id}/test`.
pub fn routes(config: &mut ServiceConfig) {
    config.route("/webhooks/{id}/test", web::post().to(test));
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Sample {
    #[serde(default)]
    headers: Vec<(String, String)>,
    payload_base64: String,
}

/// What each check of the path of a delivery says; later ones are not run after one that fails.
#[derive(Default)]
struct Checks(Vec<Value>);

impl Checks {
    fn pass(&mut self, check: &str, detail: impl Into<String>) {
        self.0.push(json!({"check": check, "passed": true, "detail": detail.into()}));
    }

    fn fail(&mut self, check: &str, detail: impl Into<String>) {
        self.0.push(json!({"check": check, "passed": false, "detail": detail.into()}));
    }

    fn all_passed(&self) -> bool {
        self.0.iter().all(|check| check.get("passed") == Some(&Value::Bool(true)))
    }

    /// What is kept of the test: the first failure, or what it all comes to.
    fn gist(&self) -> String {
        let failed = self.0.iter().find(|check| check.get("passed") == Some(&Value::Bool(false)));
        failed.map_or("every check passed".to_owned(), |check| {
            let text = |name| check.get(name).and_then(Value::as_str).unwrap_or_default();
            format!("{}: {}", text("check"), text("detail"))
        })
    }
}

async fn test(gate: Data<Gate>, id: Path<String>, sample: Json<Sample>) -> Result<HttpResponse, Problem> {
    let integration = find(&gate, &id).await?;
    let payload = decoded("payload_base64", &sample.payload_base64)?;
    let headers: Vec<(String, Vec<u8>)> = sample
        .headers
        .iter()
        .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().as_bytes().to_vec()))
        .collect();
    let mut checks = Checks::default();
    let would_answer = run_checks(&gate, &integration, headers, payload, &mut checks).await;
    let passed = checks.all_passed();
    let integration_id = integration.record.integration_id.clone();
    let record = RecordTest { integration_id: integration_id.clone(), passed, message: checks.gist() };
    let keep = async {
        let kept = gate.actors.registry.ask(record).await.map_err(gone)?;
        kept.map_err(|error| problem_of(&error))
    };
    let change = Change::new("registry.webhook.test", &id).particulars(json!({"passed": passed}));
    change.journaled(&gate, keep).await?;
    Ok(HttpResponse::Ok().json(json!({
        "integration_id": integration_id,
        "passed": passed,
        "checks": checks.0,
        "would_answer": would_answer,
    })))
}

/// Runs the checks in the order of the path; answers with what the ingress would answer.
async fn run_checks(
    gate: &Gate,
    integration: &Integration,
    mut headers: Vec<(String, Vec<u8>)>,
    payload: Vec<u8>,
    checks: &mut Checks,
) -> Value {
    let record = &integration.record;
    match record.enabled {
        true => checks.pass("enabled", "the integration takes deliveries"),
        false => checks.fail("enabled", format!("run `palyra webhooks enable {}`", record.integration_id)),
    }
    let Some(profile) = integration.profile.as_deref() else {
        checks.fail("profile", format!("there is no profile `{}`", record.provider));
        return would(&Problem::new(Kind::NotFound));
    };
    if !headers.iter().any(|(name, _)| name == "content-type") {
        headers.push(("content-type".to_owned(), b"application/json".to_vec()));
    }
    let kind = match profile.content_kind(&headers) {
        Ok(kind) => kind,
        Err(error) => {
            checks.fail("content type", error.to_string());
            return would(&Problem::new(Kind::UnsupportedMediaType));
        }
    };
    checks.pass("content type", "taken by the profile");
    if u64::try_from(payload.len()).is_ok_and(|bytes| bytes > record.max_payload_bytes) {
        checks
            .fail("size", format!("{} bytes, at most {} are taken", payload.len(), record.max_payload_bytes));
        return would(&Problem::new(Kind::PayloadTooLarge));
    }
    checks.pass("size", format!("{} of {} bytes", payload.len(), record.max_payload_bytes));
    let body = Body::new(payload, kind);
    let url = gate.hook_url(&record.integration_id);
    let parameters = &record.parameters;
    let request = Request { method: "POST", url: &url, headers: &headers, body: &body, parameters };
    match check_authentic(gate, integration, profile, &request, checks).await {
        Err(problem) => would(&problem),
        Ok(()) => check_envelope(gate, integration, profile, &request, checks),
    }
}

async fn check_authentic(
    gate: &Gate,
    integration: &Integration,
    profile: &Profile,
    request: &Request<'_>,
    checks: &mut Checks,
) -> Result<(), Problem> {
    if !integration.record.signature_required {
        checks.pass("signature", "not required by this integration");
        return Ok(());
    }
    let keys = match keys(gate, integration, profile, request).await {
        Ok(keys) => keys,
        Err(problem) => {
            checks.fail("secret", problem.to_string());
            return Err(Problem::new(Kind::Unavailable));
        }
    };
    let whence =
        if integration.takes_published_keys() { "published by the provider" } else { "found in the vault" };
    checks.pass("secret", whence);
    match profile.verify(request, &keys, gate.clock.now_unix_ms()) {
        Ok(verified) => {
            let version =
                verified.key_version.map_or_else(String::new, |version| format!(" of version {version}"));
            checks.pass("signature", format!("made with the secret{version}"));
            Ok(())
        }
        Err(VerifyError::Rejected(reject)) => {
            checks.fail("signature", format!("{}: {}", reject.reason.as_str(), reject.detail));
            Err(Problem::new(Kind::Unauthenticated))
        }
        Err(error) => {
            checks.fail("secret", error.to_string());
            Err(Problem::new(Kind::Unavailable))
        }
    }
}

fn check_envelope(
    gate: &Gate,
    integration: &Integration,
    profile: &Profile,
    request: &Request<'_>,
    checks: &mut Checks,
) -> Value {
    let names = Names::of(profile.describe(request), profile, gate.clock.now_unix_ms());
    let nonce = request.body.digest();
    match judge::judge(&integration.record, profile, request.body, &names, nonce) {
        Judgement::Accept(_) => {
            checks.pass("envelope", format!("event `{}` from `{}`", names.event, names.source));
            checks.pass("allow lists", "event and source are allowed");
            json!({"status": 202, "outcome": "accepted"})
        }
        Judgement::Filter { what } => {
            checks.pass("envelope", format!("event `{}` from `{}`", names.event, names.source));
            checks.fail("allow lists", format!("allowed_{what}s does not name this {what}"));
            let status = if judge::rejects_filtered(&integration.record) { 403 } else { 202 };
            json!({"status": status, "outcome": "filtered"})
        }
        Judgement::Reject(problem, why) => {
            checks.fail("envelope", why.join("; "));
            would(&problem.outcome("rejected"))
        }
    }
}

fn would(problem: &Problem) -> Value {
    let document = problem.document();
    json!({"status": document.get("status"), "outcome": document.get("outcome").or(document.get("code"))})
}

/// The keys of an integration: of its own, or those that the provider publishes.
async fn keys(
    gate: &Gate,
    integration: &Integration,
    profile: &Profile,
    request: &Request<'_>,
) -> Result<Arc<SecretVersions>, Problem> {
    if !integration.takes_published_keys() {
        return resolve(gate, integration).await;
    }
    let problem = |why: String| Problem::new(Kind::Unavailable).detail(why);
    let published = profile.published(request).map_err(|reject| problem(reject.detail))?;
    let published = published.ok_or_else(|| problem("the delivery names no keys".to_owned()))?;
    let keys = gate.published.get(profile.name(), published, gate.clock.now_unix_ms()).await;
    keys.map_err(|error| problem(error.to_string()))
}

/// The keys of an integration, with a problem that says what is missing.
pub(super) async fn resolve(gate: &Gate, integration: &Integration) -> Result<Arc<SecretVersions>, Problem> {
    let missing = || Problem::new(Kind::Invalid).detail("the integration names no secret");
    let vault_ref = integration.record.vault_ref().ok_or_else(missing)?;
    let vault_ref = vault_ref.map_err(|error| Problem::new(Kind::Invalid).detail(error.to_string()))?;
    let resolved = gate.actors.vault.ask(Resolve(vault_ref)).await.map_err(gone)?;
    resolved
        .map_err(|error| Problem::new(Kind::Unavailable).detail(error.to_string()).hint(Some(error.hint())))
}
