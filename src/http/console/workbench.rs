//! `webhooks test`: sends a captured delivery along the path of a real one; nothing is stored but the result.

use std::sync::Arc;
use std::time::Duration;

use actix_web::HttpResponse;
use actix_web::http::header::{HOST, HeaderMap, HeaderName, HeaderValue};
use actix_web::http::uri::PathAndQuery;
use actix_web::web::{self, Data, Json, Path, ServiceConfig};
use palyra_actors::clock::UnixMs;
use palyra_actors::ids::{Digest, Receipt};
use palyra_actors::registry::{Integration, RecordTest};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::runtime::Builder;
use tokio::time::error::Elapsed;
use tokio::time::{Instant, timeout_at};

use super::audit::Change;
use super::input::decoded;
use super::webhooks::{find, problem_of, unanswered};
use crate::event_document;
use crate::http::body;
use crate::http::delivery::arrival::{Arrival, Passed};
use crate::http::delivery::conclusion::Authentic;
use crate::http::delivery::stopped::Stopped;
use crate::http::ingress::{Delivery, Head, Walked};
use crate::http::problem::{Kind, Problem};
use crate::service::AppState;
use crate::threads;
use palyra_actors::judging::Judgement;

/// Time limit of a trial, including the wait for a place. Shorter than the time-out of a console client.
const TRIAL_TIME_MAX: Duration = Duration::from_secs(20);

/// `/webhooks/{id}/test`.
pub fn routes(config: &mut ServiceConfig) {
    config.route("/webhooks/{id}/test", web::post().to(test));
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Sample {
    #[serde(default)]
    headers: Vec<(String, String)>,
    /// The query of its URL, without the `?`.
    query: Option<String>,
    payload_base64: String,
    /// When it was received; `None`: now.
    at_unix_ms: Option<UnixMs>,
}

/// The results of the checks along the path of a delivery; after one that fails, later ones are not run.
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

    /// The summary that is journaled: the first failure, or the overall result.
    fn summary(&self) -> String {
        let failed = self.0.iter().find(|check| check.get("passed") == Some(&Value::Bool(false)));
        failed.map_or("every check passed".to_owned(), |check| {
            let text = |name| check.get(name).and_then(Value::as_str).unwrap_or_default();
            format!("{}: {}", text("check"), text("detail"))
        })
    }
}

async fn test(app: Data<AppState>, id: Path<String>, sample: Json<Sample>) -> Result<HttpResponse, Problem> {
    let integration = find(&app, &id).await?;
    let at_unix_ms = sample.at_unix_ms;
    let (checks, would_answer) = tried(app.clone(), Arc::clone(&integration), sample.into_inner()).await?;
    let passed = checks.all_passed();
    let integration_id = integration.record.integration_id.clone();
    let as_of = at_unix_ms.map(|at| format!(", as of {}", event_document::rfc3339(at))).unwrap_or_default();
    let message = checks.summary() + &as_of;
    let record = RecordTest { integration_id: integration_id.clone(), passed, message };
    let registry = app.actors.registry.clone();
    let keep = async move {
        let kept = registry.ask(record).await.map_err(unanswered)?;
        kept.map_err(|error| problem_of(&error))
    };
    let change = Change::new("registry.webhook.test", &id)
        .particulars(json!({"passed": passed, "at_unix_ms": at_unix_ms}));
    // The result is returned even if it cannot be journaled.
    let not_kept = change.journaled(&app, keep).await.err();
    Ok(HttpResponse::Ok().json(json!({
        "integration_id": integration_id,
        "passed": passed,
        "checks": checks.0,
        "would_answer": would_answer,
        "not_kept": not_kept.map(|problem| problem.document()),
    })))
}

/// Runs the checks on `sample`, and returns them with the answer the ingress would give.
///
/// They run on a thread of its own, because a large body would block the console, and in a runtime of its own, because they
/// may outlive the console's. They end at the deadline whether or not anybody still waits for them, so that one that hangs
/// gives its place back.
async fn tried(
    app: Data<AppState>,
    integration: Arc<Integration>,
    sample: Sample,
) -> Result<(Checks, Value), Problem> {
    let deadline = Instant::now() + trial_time_max();
    let place = Arc::clone(&app.console.trials).acquire_owned();
    let place = timeout_at(deadline, place).await.map_err(late)?;
    let place = place.map_err(|error| Problem::unavailable(&error))?;
    let tried = threads::on_its_own(move || {
        let _place = place;
        let captured = Captured::of(&sample, &integration, &app)?;
        let mut checks = Checks::default();
        let answer = by(deadline, run_checks(&app, integration, captured, &mut checks))?;
        Ok((checks, answer))
    });
    tried.await.map_err(|error| Problem::unavailable(error.as_ref()))?
}

/// Runs `work` on this thread until the deadline. What it leaves running on other threads, such as a fetch of keys, is not
/// waited for.
fn by<T>(deadline: Instant, work: impl Future<Output = T>) -> Result<T, Problem> {
    let runtime = Builder::new_current_thread().enable_time().build();
    let runtime = runtime.map_err(|error| Problem::unavailable(&error))?;
    let done = runtime.block_on(async { timeout_at(deadline, work).await });
    runtime.shutdown_background();
    done.map_err(late)
}

fn late(_: Elapsed) -> Problem {
    let time_max = trial_time_max();
    Problem::new(Kind::Unavailable).detail(format!("the checks did not finish within {time_max:?}"))
}

fn trial_time_max() -> Duration {
    fail::fail_point!("workbench::trial_ends_soon", |_| Duration::from_secs(1));
    TRIAL_TIME_MAX
}

/// A captured delivery in the form the ingress would receive it.
struct Captured {
    url: String,
    headers: HeaderMap,
    payload: Vec<u8>,
    /// The time that it is judged by.
    now: UnixMs,
}

impl Captured {
    fn of(sample: &Sample, integration: &Integration, app: &AppState) -> Result<Self, Problem> {
        let malformed = |what: String| Problem::new(Kind::BadRequest).detail(what);
        let payload = decoded("payload_base64", &sample.payload_base64)?;
        let mut headers = HeaderMap::with_capacity(sample.headers.len() + 1);
        for (index, (name, value)) in sample.headers.iter().enumerate() {
            let name = HeaderName::from_bytes(name.as_bytes()).ok();
            let value = HeaderValue::from_bytes(value.trim().as_bytes()).ok();
            let header = name
                .zip(value)
                .ok_or_else(|| malformed(format!("`headers[{index}]` is not a valid header")))?;
            headers.append(header.0, header.1);
        }
        // Every real request has a `Host`. If it was not captured, the delivery is taken to have been sent to the ingress
        // directly.
        let own = app.serving.addresses.local_ingress().unwrap_or_default();
        let own = HeaderValue::from_str(own.trim_start_matches("http://"));
        if let (false, Ok(own)) = (headers.contains_key(HOST), own) {
            headers.insert(HOST, own);
        }
        let query = sample.query.as_ref().map_or_else(String::new, |query| format!("?{query}"));
        let url = format!("/hooks/{}{query}", integration.record.integration_id);
        let is_url = url.parse::<PathAndQuery>().is_ok_and(|parsed| parsed.as_str() == url);
        let now = sample.at_unix_ms.unwrap_or_else(|| app.clock.now_unix_ms());
        if is_url {
            Ok(Self { url, headers, payload, now })
        } else {
            Err(malformed("`query` is not a valid URL query".to_owned()))
        }
    }
}

/// Runs the checks in the order of the path, and returns the answer the ingress would give.
async fn run_checks(
    app: &AppState,
    integration: Arc<Integration>,
    captured: Captured,
    checks: &mut Checks,
) -> Value {
    let (id, is_enabled) = (integration.record.integration_id.clone(), integration.record.enabled);
    match is_enabled {
        true => checks.pass("enabled", "the integration accepts deliveries"),
        false => checks.fail("enabled", format!("run `palyra webhooks enable {id}`")),
    }
    let Captured { url, headers, payload, now } = captured;
    let head = Head { method: "POST", url: &url, headers: &headers, peer: None };
    let mut trial = Trial { integration, payload, now, checks };
    let answer = match (Delivery { app, head, id }).walk(&mut trial).await {
        Ok(walked) => trial.walked(walked),
        Err(stopped) => trial.stopped(stopped),
    };
    if is_enabled { answer } else { would(&Problem::new(Kind::NotFound)) }
}

/// A captured delivery on its path. Duplicates are not detected, and it takes no permit from real deliveries.
struct Trial<'a> {
    integration: Arc<Integration>,
    payload: Vec<u8>,
    now: UnixMs,
    checks: &'a mut Checks,
}

impl Arrival for Trial<'_> {
    fn look_up(&self) -> Result<Arc<Integration>, Problem> {
        Ok(Arc::clone(&self.integration))
    }

    async fn read(&mut self, bytes_max: u64) -> Result<Vec<u8>, Problem> {
        let bytes = self.payload.len();
        let too_many =
            |problem: Problem| problem.detail(format!("{bytes} bytes, but at most {bytes_max} are accepted"));
        body::check_declared(u64::try_from(bytes).ok(), bytes_max).map_err(too_many)?;
        Ok(std::mem::take(&mut self.payload))
    }

    fn may_wait_for_keys(&mut self) -> bool {
        true
    }

    fn now(&self) -> UnixMs {
        self.now
    }

    fn admit_unsigned(&self, _: &Integration) -> Result<(), Problem> {
        Ok(())
    }

    fn accepted_before(&self, _: &Digest, _: &Digest, _: UnixMs) -> Option<Receipt> {
        None
    }

    fn passed(&mut self, step: Passed<'_>) {
        let checks = &mut *self.checks;
        match step {
            Passed::Head => checks.pass("content type", "accepted by the profile"),
            Passed::Size(bytes) => {
                let most = self.integration.record.max_payload_bytes;
                checks.pass("size", format!("{bytes} of {most} bytes"));
            }
            Passed::Keys(None) => {}
            Passed::Keys(Some(_)) if self.integration.takes_published_keys() => {
                checks.pass("secret", "published by the provider");
            }
            Passed::Keys(Some(_)) => checks.pass("secret", "found in the vault"),
            Passed::Signature(Some(verified)) => {
                let version = verified.key_version.map(|version| format!(" of version {version}"));
                checks.pass("signature", format!("made with the secret{}", version.unwrap_or_default()));
            }
            Passed::Signature(None) => {
                checks.pass("signature", "no signature can be checked, and none is required");
            }
        }
    }
}

impl Trial<'_> {
    /// The answer to a delivery that passes. The echoed text of a handshake is left out, because it comes from the caller.
    fn walked(&mut self, walked: Walked) -> Value {
        match walked {
            Walked::Handshake(reply) => {
                let said = "this is the provider's handshake, sent before it delivers; nothing is journaled";
                self.checks.pass("handshake", said);
                json!({"status": reply.status, "outcome": "handshake"})
            }
            Walked::AcceptedBefore(_, form) => json!({"status": form.again().status, "outcome": "duplicate"}),
            Walked::Judged(authentic, judgement, _) => self.judged(&authentic, judgement),
        }
    }

    fn judged(&mut self, authentic: &Authentic, judgement: Judgement) -> Value {
        let Authentic { integration, names, form, .. } = authentic;
        let named = format!("event `{}` from `{}`", names.event, names.source);
        let checks = &mut *self.checks;
        match judgement {
            Judgement::Accept(_) => {
                checks.pass("envelope", named);
                checks.pass("allow lists", "event and source are allowed");
                json!({"status": form.status, "outcome": "accepted"})
            }
            Judgement::Filter { what } => {
                checks.pass("envelope", named);
                checks.fail("allow lists", format!("allowed_{what}s does not name this {what}"));
                let status = if integration.record.rejects_filtered() { 403 } else { form.status };
                json!({"status": status, "outcome": "filtered"})
            }
            Judgement::Reject(flaw) => {
                let why = flaw.reasons(names, integration.profile.as_deref());
                checks.fail("envelope", why.join("; "));
                would(&Problem::of_flaw(&flaw).outcome("rejected"))
            }
        }
    }

    /// The answer to a delivery that was stopped.
    fn stopped(&mut self, stopped: Stopped) -> Value {
        let (check, why, problem) = match stopped {
            Stopped::Unauthentic(reject) => {
                ("signature", reject.to_string(), Problem::new(Kind::Unauthenticated))
            }
            Stopped::WrongToken(reject) => ("token", reject.to_string(), Problem::new(Kind::Unauthenticated)),
            Stopped::NoKeys(fault) => ("secret", fault.to_string(), Problem::new(Kind::Unavailable)),
            Stopped::NoToken(fault) => ("token", fault.to_string(), Problem::new(Kind::Unavailable)),
            Stopped::Refused(problem) => {
                let (check, why) = self.refused(&problem);
                (check, why, problem)
            }
        };
        self.checks.fail(check, why);
        would(&problem)
    }

    /// The check that a problem belongs to, and its message.
    fn refused(&self, problem: &Problem) -> (&'static str, String) {
        match problem.kind() {
            Kind::NotFound => {
                ("profile", format!("there is no profile `{}`", self.integration.record.provider))
            }
            Kind::PayloadTooLarge => ("size", problem.to_string()),
            Kind::BadRequest => ("handshake", "the value to give back is missing or too long".to_owned()),
            _ => ("content type", problem.to_string()),
        }
    }
}

fn would(problem: &Problem) -> Value {
    let document = problem.document();
    json!({"status": document.get("status"), "outcome": document.get("outcome").or(document.get("code"))})
}
