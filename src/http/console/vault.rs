//! Secrets: list, put, rotate, retire, remove. Values go in and never come out.

use actix_web::HttpResponse;
use actix_web::web::{self, Data, Json, Path, ServiceConfig};
use palyra_actors::registry::{self, readiness};
use palyra_actors::secret::Secret;
use palyra_actors::supervision::DoorError;
use palyra_actors::vault::{
    Delete, List, Put, Retire, Rotate, SecretEntry, SecretStatus, VaultError, VaultRef,
};
use serde::Deserialize;
use serde_json::json;
use zeroize::Zeroizing;

use super::audit::Change;
use super::input::decoded;
use super::views;
use super::webhooks::gone;
use crate::http::Gate;
use crate::http::problem::{Kind, Problem};

/// `/vault`. References are percent-encoded into one segment.
pub fn routes(config: &mut ServiceConfig) {
    config
        .route("/vault", web::get().to(list))
        .route("/vault/{reference}/rotate", web::post().to(rotate))
        .route("/vault/{reference}/retire", web::post().to(retire))
        .route("/vault/{reference}", web::put().to(put))
        .route("/vault/{reference}", web::delete().to(remove));
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Value {
    value_base64: Zeroizing<String>,
}

async fn list(gate: Data<Gate>) -> Result<HttpResponse, Problem> {
    let secrets = answered(gate.actors.vault.ask(List).await)?;
    Ok(HttpResponse::Ok().json(json!({"secrets": secrets})))
}

async fn put(gate: Data<Gate>, reference: Path<String>, body: Json<Value>) -> Result<HttpResponse, Problem> {
    let vault_ref = parsed(&reference)?;
    let value = Secret::new(decoded("value_base64", &body.value_base64)?);
    let put = async { answered(gate.actors.vault.ask(Put { vault_ref, value }).await) };
    let entry = Change::new("vault.secret.put", &reference).journaled(&gate, put).await?;
    stored(&gate, entry).await
}

async fn rotate(
    gate: Data<Gate>,
    reference: Path<String>,
    body: Json<Value>,
) -> Result<HttpResponse, Problem> {
    let vault_ref = parsed(&reference)?;
    let value = Secret::new(decoded("value_base64", &body.value_base64)?);
    let rotate = async { answered(gate.actors.vault.ask(Rotate { vault_ref, value }).await) };
    let entry = Change::new("vault.secret.rotate", &reference).journaled(&gate, rotate).await?;
    stored(&gate, entry).await
}

async fn retire(gate: Data<Gate>, reference: Path<String>) -> Result<HttpResponse, Problem> {
    let vault_ref = parsed(&reference)?;
    let retire = async { answered(gate.actors.vault.ask(Retire(vault_ref)).await) };
    let entry = Change::new("vault.secret.retire", &reference).journaled(&gate, retire).await?;
    Ok(HttpResponse::Ok().json(entry))
}

async fn remove(gate: Data<Gate>, reference: Path<String>) -> Result<HttpResponse, Problem> {
    let vault_ref = parsed(&reference)?;
    let remove = async { answered(gate.actors.vault.ask(Delete(vault_ref)).await) };
    Change::new("vault.secret.remove", &reference).journaled(&gate, remove).await?;
    Ok(HttpResponse::Ok().json(json!({"removed": *reference})))
}

fn parsed(reference: &str) -> Result<VaultRef, Problem> {
    VaultRef::parse_to_change(reference)
        .map_err(|error| Problem::new(Kind::Invalid).detail(error.to_string()).hint(Some(error.hint)))
}

/// A value that was stored, and who cannot use it: it is taken all the same, for it may be the profile that is wrong.
async fn stored(gate: &Gate, entry: SecretEntry) -> Result<HttpResponse, Problem> {
    let mut warnings = Vec::new();
    for integration in gate.actors.registry.ask(registry::List).await.unwrap_or_default() {
        let record = &integration.record;
        if !record.enabled || record.secret_vault_ref.as_ref() != Some(&entry.vault_ref) {
            continue;
        }
        let status = views::secret_status(gate, &integration).await;
        if matches!(status, SecretStatus::Unusable(_)) {
            warnings.extend(readiness(&integration, &status).issues);
        }
    }
    let mut answer = json!(entry);
    if let Some(members) = answer.as_object_mut() {
        members.insert("warnings".to_owned(), json!(warnings));
    }
    Ok(HttpResponse::Ok().json(answer))
}

fn answered<T>(asked: Result<Result<T, VaultError>, DoorError>) -> Result<T, Problem> {
    asked.map_err(gone)?.map_err(|error| {
        let kind = match &error {
            VaultError::NotFound(_) => Kind::NotFound,
            VaultError::Unavailable { .. }
            | VaultError::Storage(_)
            | VaultError::Damaged { .. }
            | VaultError::Older { .. }
            | VaultError::Identity(_) => Kind::Unavailable,
            _ => Kind::Invalid,
        };
        Problem::new(kind).detail(error.to_string()).hint(Some(error.hint()))
    })
}
