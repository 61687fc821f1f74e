//! `webhooks test`: every check of a captured delivery in the order of the ingress, by the same functions, and nothing stored
//! but the result.

use std::fmt::Display;
use std::sync::Arc;
use std::time::Duration;

use actix_web::HttpResponse;
use actix_web::http::header::{HOST, HeaderMap, HeaderName, HeaderValue};
use actix_web::http::uri::PathAndQuery;
use actix_web::web::{self, Data, Json, Path, ServiceConfig};
use palyra_actors::clock::UnixMs;
use palyra_actors::provider::{
    Body, ContentKind, Handshake, HandshakeCheck, Profile, Reject, Request, VerifyError,
};
use palyra_actors::registry::{Integration, RecordTest};
use palyra_actors::secret::SecretVersions;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::runtime::Handle;
use tokio::time::timeout;

use super::audit::Change;
use super::input::decoded;
use super::views;
use super::webhooks::{find, problem_of, unanswered};
use crate::http::Gate;
use crate::http::body;
use crate::http::delivery::checks::{self, Condemned};
use crate::http::delivery::headers::HeaderView;
use crate::http::ingress::{Delivery, Head};
use crate::http::problem::{Kind, Problem};
use crate::threads;
use palyra_actors::judging::{self, Judgement, Names};

/// How long a trial may take, its wait for a thread included. Less than a client of the console waits for an answer.
const TRIAL_DEADLINE: Duration = Duration::from_secs(20);

/// `/webhooks/{id}/test`.
pub fn routes(config: &mut ServiceConfig) {
    config.route("/webhooks/{id}/test", web::post().to(test));
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Sample {
    #[serde(default)]
    headers: Vec<(String, String)>,
    /// What stands behind the `?` of its URL.
    query: Option<String>,
    payload_base64: String,
    /// When it came; absent: now.
    at_unix_ms: Option<UnixMs>,
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
    let at_unix_ms = sample.at_unix_ms;
    let (checks, would_answer) = tried(gate.clone(), Arc::clone(&integration), sample.into_inner()).await?;
    let passed = checks.all_passed();
    let integration_id = integration.record.integration_id.clone();
    let as_of = at_unix_ms.map(|at| format!(", as of {}", views::rfc3339(at))).unwrap_or_default();
    let message = checks.gist() + &as_of;
    let record = RecordTest { integration_id: integration_id.clone(), passed, message };
    let registry = gate.actors.registry.clone();
    let keep = async move {
        let kept = registry.ask(record).await.map_err(unanswered)?;
        kept.map_err(|error| problem_of(&error))
    };
    let change = Change::new("registry.webhook.test", &id)
        .particulars(json!({"passed": passed, "at_unix_ms": at_unix_ms}));
    // What was found out is told, even where it cannot be kept.
    let not_kept = change.journaled(&gate, keep).await.err();
    Ok(HttpResponse::Ok().json(json!({
        "integration_id": integration_id,
        "passed": passed,
        "checks": checks.0,
        "would_answer": would_answer,
        "not_kept": not_kept.map(|problem| problem.document()),
    })))
}

/// What the checks say of `sample`, and what the ingress would answer.
async fn tried(
    gate: Data<Gate>,
    integration: Arc<Integration>,
    sample: Sample,
) -> Result<(Checks, Value), Problem> {
    let tried = timeout(TRIAL_DEADLINE, try_out(gate, integration, sample)).await;
    let late = |_| {
        let detail = format!("the checks did not come to an end within {TRIAL_DEADLINE:?}");
        Problem::new(Kind::Unavailable).detail(detail)
    };
    tried.map_err(late)?
}

/// On a thread of its own: a large body would keep all others from the console. A thread that the journal's reads and the
/// fetches of keys are done on would be waited for by the fetch that this one waits for.
async fn try_out(
    gate: Data<Gate>,
    integration: Arc<Integration>,
    sample: Sample,
) -> Result<(Checks, Value), Problem> {
    let place = Arc::clone(&gate.trials).acquire_owned().await;
    let place = place.map_err(|error| Problem::unavailable(&error))?;
    let runtime = Handle::current();
    let tried = threads::on_its_own(move || {
        let _place = place;
        let captured = Captured::of(&sample, &integration, &gate)?;
        let mut checks = Checks::default();
        let answer = runtime.block_on(run_checks(&gate, &integration, captured, &mut checks));
        Ok((checks, answer))
    });
    tried.await.map_err(|error| Problem::unavailable(error.as_ref()))?
}

/// A captured delivery, as the ingress would have it.
struct Captured {
    url: String,
    headers: HeaderMap,
    payload: Vec<u8>,
    /// The moment by which it is judged.
    now: UnixMs,
}

impl Captured {
    fn of(sample: &Sample, integration: &Integration, gate: &Gate) -> Result<Self, Problem> {
        let malformed = |what: String| Problem::new(Kind::BadRequest).detail(what);
        let payload = decoded("payload_base64", &sample.payload_base64)?;
        let mut headers = HeaderMap::with_capacity(sample.headers.len() + 1);
        for (index, (name, value)) in sample.headers.iter().enumerate() {
            let name = HeaderName::from_bytes(name.as_bytes()).ok();
            let value = HeaderValue::from_bytes(value.trim().as_bytes()).ok();
            let header =
                name.zip(value).ok_or_else(|| malformed(format!("`headers[{index}]` is no header")))?;
            headers.append(header.0, header.1);
        }
        // Every request has one. Without it the delivery is taken to have come to the ingress itself.
        let own = gate.addresses.ingress.trim_start_matches("http://");
        if let (false, Ok(own)) = (headers.contains_key(HOST), HeaderValue::from_str(own)) {
            headers.insert(HOST, own);
        }
        let query = sample.query.as_ref().map_or_else(String::new, |query| format!("?{query}"));
        let url = format!("/hooks/{}{query}", integration.record.integration_id);
        let is_url = url.parse::<PathAndQuery>().is_ok_and(|parsed| parsed.as_str() == url);
        let now = sample.at_unix_ms.unwrap_or_else(|| gate.clock.now_unix_ms());
        if is_url {
            Ok(Self { url, headers, payload, now })
        } else {
            Err(malformed("`query` is none".to_owned()))
        }
    }
}

/// Runs the checks in the order of the path; answers with what the ingress would answer.
async fn run_checks(
    gate: &Gate,
    integration: &Integration,
    captured: Captured,
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
    let head = Head { method: "POST", url: &captured.url, headers: &captured.headers, peer: None };
    let delivery = Delivery { gate, head, id: record.integration_id.clone() };
    let trial = Trial {
        integration,
        profile,
        view: HeaderView(&captured.headers),
        url: delivery.public_url(),
        delivery,
        now: captured.now,
    };
    let answer = trial.run(captured.payload, checks).await.unwrap_or_else(|problem| would(&problem));
    if record.enabled { answer } else { would(&Problem::new(Kind::NotFound)) }
}

/// A captured delivery on its way through the checks of the ingress.
struct Trial<'a> {
    integration: &'a Integration,
    profile: &'a Profile,
    delivery: Delivery<'a>,
    view: HeaderView<'a>,
    url: String,
    now: UnixMs,
}

impl Trial<'_> {
    fn request<'b>(&'b self, body: &'b Body) -> Request<'b> {
        let parameters = &self.integration.record.parameters;
        Request { method: "POST", url: &self.url, headers: &self.view, body, parameters }
    }

    /// What would be answered.
    async fn run(&self, payload: Vec<u8>, checks: &mut Checks) -> Result<Value, Problem> {
        if let Some(answer) = self.greeting(&Body::empty(), checks).await? {
            return Ok(answer);
        }
        let kind = self.head(checks)?;
        self.size(payload.len(), checks)?;
        checks::body(self.profile, kind, &payload)
            .inspect_err(|problem| checks.fail("content type", problem.to_string()))?;
        let body = Body::new(payload, kind);
        if let Some(answer) = self.greeting(&body, checks).await? {
            return Ok(answer);
        }
        let request = self.request(&body);
        let keys = self.keys(&request, checks).await?;
        self.signature(&request, keys.as_deref(), checks)?;
        match self.profile.asks(&request) {
            Some(handshake) => greeted(handshake, &request, keys.as_deref(), checks),
            None => Ok(self.envelope(&request, checks)),
        }
    }

    /// The answer to a handshake that is not signed, if it is one.
    async fn greeting(&self, body: &Body, checks: &mut Checks) -> Result<Option<Value>, Problem> {
        let request = self.request(body);
        let unsigned = self.profile.asks_unsigned(&request).filter(|_| self.profile.greets_unsigned());
        let Some(handshake) = unsigned else { return Ok(None) };
        if handshake.check == HandshakeCheck::Token {
            let token = self.delivery.gate.token(self.integration, handshake).await;
            let token = token.map_err(|fault| unavailable("token", &fault, checks))?;
            let checked = handshake.check_token(&request, token.as_deref());
            checked.map_err(|reject| unauthentic(&reject, checks))?;
        }
        greeted(handshake, &request, None, checks).map(Some)
    }

    fn head(&self, checks: &mut Checks) -> Result<ContentKind, Problem> {
        let found = checks::head(self.delivery.head.headers, self.integration, self.profile);
        let kind = found.map_err(|condemned| match condemned {
            Condemned::Unauthentic(reject) => unauthentic(&reject, checks),
            Condemned::Otherwise(problem) => {
                let is_size = problem.kind() == Kind::PayloadTooLarge;
                checks.fail(if is_size { "size" } else { "content type" }, problem.to_string());
                problem
            }
        })?;
        checks.pass("content type", "taken by the profile");
        Ok(kind)
    }

    fn size(&self, bytes: usize, checks: &mut Checks) -> Result<(), Problem> {
        let most = self.integration.record.max_payload_bytes;
        body::check_declared(u64::try_from(bytes).ok(), most)
            .inspect_err(|_| checks.fail("size", format!("{bytes} bytes, at most {most} are taken")))?;
        checks.pass("size", format!("{bytes} of {most} bytes"));
        Ok(())
    }

    /// The keys of the integration: its own, or those that the provider publishes. None where it neither names nor needs any.
    async fn keys(
        &self,
        request: &Request<'_>,
        checks: &mut Checks,
    ) -> Result<Option<Arc<SecretVersions>>, Problem> {
        let gate = self.delivery.gate;
        if !self.integration.takes_published_keys() {
            let keys = gate.resolve(self.integration).await;
            let keys = keys.map_err(|fault| unavailable("secret", &fault, checks))?;
            if keys.is_some() {
                checks.pass("secret", "found in the vault");
            }
            return Ok(keys);
        }
        let published = self.profile.published(request).map_err(|reject| unauthentic(&reject, checks))?;
        let Some(published) = published else {
            return Err(unavailable("secret", &"the delivery names no keys", checks));
        };
        let now = gate.clock.now_unix_ms();
        let keys = gate.published.get(self.profile.name(), published, now, || true).await;
        let keys = keys.map_err(|error| unavailable("secret", &error, checks))?;
        checks.pass("secret", "published by the provider");
        Ok(Some(keys))
    }

    fn signature(
        &self,
        request: &Request<'_>,
        keys: Option<&SecretVersions>,
        checks: &mut Checks,
    ) -> Result<(), Problem> {
        let (record, now) = (&self.integration.record, self.now);
        match checks::signature(record, self.profile, request, keys, now) {
            Ok(Some(verified)) => {
                let version = verified.key_version.map(|version| format!(" of version {version}"));
                checks.pass("signature", format!("made with the secret{}", version.unwrap_or_default()));
                Ok(())
            }
            Ok(None) => {
                checks.pass("signature", "there is none that could be checked, and none is required");
                Ok(())
            }
            Err(VerifyError::Rejected(reject)) => Err(unauthentic(&reject, checks)),
            Err(error) => Err(unavailable("secret", &error, checks)),
        }
    }

    fn envelope(&self, request: &Request<'_>, checks: &mut Checks) -> Value {
        let (record, now) = (&self.integration.record, self.now);
        let names = Names::of(self.profile.describe(request), self.profile, now);
        let named = format!("event `{}` from `{}`", names.event, names.source);
        let taken = self.profile.answer().status;
        match judging::judge(record, self.profile, request.body, &names, request.body.digest()) {
            Judgement::Accept(_) => {
                checks.pass("envelope", named);
                checks.pass("allow lists", "event and source are allowed");
                json!({"status": taken, "outcome": "accepted"})
            }
            Judgement::Filter { what } => {
                checks.pass("envelope", named);
                checks.fail("allow lists", format!("allowed_{what}s does not name this {what}"));
                let status = if judging::rejects_filtered(record) { 403 } else { taken };
                json!({"status": status, "outcome": "filtered"})
            }
            Judgement::Reject(flaw) => {
                checks.fail("envelope", flaw.reasons().join("; "));
                would(&Problem::of_flaw(&flaw).outcome("rejected"))
            }
        }
    }
}

/// What a handshake that was checked is answered with; its text is the asker's and is left out.
fn greeted(
    handshake: &Handshake,
    request: &Request<'_>,
    keys: Option<&SecretVersions>,
    checks: &mut Checks,
) -> Result<Value, Problem> {
    let Some(reply) = handshake.reply(request, keys) else {
        checks.fail("handshake", "what is to be given back is missing, or longer than it may be");
        return Err(Problem::new(Kind::BadRequest));
    };
    checks.pass("handshake", "what the provider asks before it delivers; nothing is journaled");
    Ok(json!({"status": reply.status, "outcome": "handshake"}))
}

fn unauthentic(reject: &Reject, checks: &mut Checks) -> Problem {
    checks.fail("signature", format!("{}: {}", reject.reason.as_str(), reject.detail));
    Problem::new(Kind::Unauthenticated)
}

fn would(problem: &Problem) -> Value {
    let document = problem.document();
    json!({"status": document.get("status"), "outcome": document.get("outcome").or(document.get("code"))})
}

fn unavailable(check: &str, why: &dyn Display, checks: &mut Checks) -> Problem {
    checks.fail(check, why.to_string());
    Problem::new(Kind::Unavailable)
}
