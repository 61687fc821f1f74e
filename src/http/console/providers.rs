//! The provider profiles in force.

use std::sync::Arc;

use actix_web::HttpResponse;
use actix_web::web::{self, Data, Path, ServiceConfig};
use palyra_actors::provider::Catalogue;
use palyra_actors::registry::Profiles;
use serde_json::{Value, json};

use crate::http::problem::{Kind, Problem};
use crate::service::AppState;

/// `/providers`.
pub fn routes(config: &mut ServiceConfig) {
    config.route("/providers", web::get().to(list)).route("/providers/{name}", web::get().to(show));
}

async fn catalogue(app: &AppState) -> Result<Arc<Catalogue>, Problem> {
    let asked = app.actors.registry.ask(Profiles).await;
    asked.map_err(|error| Problem::unavailable(&error))
}

async fn list(app: Data<AppState>) -> Result<HttpResponse, Problem> {
    Ok(HttpResponse::Ok().json(all(&*catalogue(&app).await?)))
}

async fn show(app: Data<AppState>, name: Path<String>) -> Result<HttpResponse, Problem> {
    Ok(HttpResponse::Ok().json(one(&*catalogue(&app).await?, &name)?))
}

/// The document of all profiles.
pub fn all(catalogue: &Catalogue) -> Value {
    let providers: Vec<_> = catalogue.iter().map(|profile| profile.summary()).collect();
    json!({"providers": providers})
}

/// The document of one profile.
///
/// # Errors
/// [`Kind::NotFound`].
pub fn one(catalogue: &Catalogue, name: &str) -> Result<Value, Problem> {
    let Some(profile) = catalogue.get(name) else {
        let nearest = catalogue.nearest(name).map(|nearest| format!("did you mean `{nearest}`?"));
        return Err(Problem::new(Kind::NotFound)
            .detail(format!("no provider `{}`", name.escape_debug()))
            .hint(nearest));
    };
    let mut view = json!(profile.summary());
    if let Some(members) = view.as_object_mut() {
        members.insert("profile_toml".to_owned(), Value::from(profile.source_toml()));
    }
    Ok(view)
}
