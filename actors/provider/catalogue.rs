//! Profiles by name: the built-in ones, and the operator's own, which take precedence.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

use super::lint::{Weight, mistakes};
use super::load;
use super::{Origin, Profile};
use crate::ids::nearest;
use crate::text_places::TextFault;

macro_rules! built_in {
    ($($file:literal),* $(,)?) => {
        &[$(($file, include_str!(concat!("../../schemas/providers/", $file)))),*]
    };
}

/// The built-in profiles. Their files are listed nowhere else.
const BUILT_IN: &[(&str, &str)] = built_in![
    "adyen-platform.toml",
    "adyen.toml",
    "airtable.toml",
    "alertmanager.toml",
    "anthropic.toml",
    "asana.toml",
    "auth0.toml",
    "aws-sns.toml",
    "bitbucket.toml",
    "buildkite-token.toml",
    "buildkite.toml",
    "calendly.toml",
    "circleci.toml",
    "clerk.toml",
    "cloudevents.toml",
    "contentful.toml",
    "discord.toml",
    "docker-hub.toml",
    "docusign.toml",
    "dropbox.toml",
    "elevenlabs.toml",
    "envelope.toml",
    "figma.toml",
    "forgejo.toml",
    "gitea.toml",
    "github.toml",
    "gitlab-signing.toml",
    "gitlab.toml",
    "google-pubsub.toml",
    "grafana.toml",
    "heroku.toml",
    "hubspot-v1.toml",
    "hubspot-v2.toml",
    "hubspot-v3.toml",
    "intercom.toml",
    "jira.toml",
    "launchdarkly.toml",
    "lemonsqueezy.toml",
    "line.toml",
    "linear.toml",
    "mailgun.toml",
    "meta.toml",
    "microsoft-graph.toml",
    "monday.toml",
    "mux.toml",
    "netlify.toml",
    "notion.toml",
    "okta.toml",
    "openai.toml",
    "paddle.toml",
    "pagerduty.toml",
    "paypal.toml",
    "polar.toml",
    "razorpay.toml",
    "replicate.toml",
    "resend.toml",
    "sanity.toml",
    "sendgrid.toml",
    "sentry-service-hooks.toml",
    "sentry.toml",
    "shopify.toml",
    "slack.toml",
    "square.toml",
    "standard-webhooks-v1a.toml",
    "standard-webhooks.toml",
    "stripe.toml",
    "svix.toml",
    "telegram.toml",
    "telnyx.toml",
    "trello.toml",
    "twilio.toml",
    "twitch.toml",
    "typeform.toml",
    "vercel.toml",
    "woocommerce.toml",
    "workos.toml",
    "x.toml",
    "xero.toml",
    "zendesk.toml",
    "zoom.toml",
];

/// Profiles by name.
#[derive(Debug)]
pub struct Catalogue(BTreeMap<String, Arc<Profile>>);

impl Catalogue {
    /// The built-in profiles only.
    ///
    /// # Errors
    /// Never; the tests parse every built-in profile.
    pub fn built_in() -> Result<Self, TextFault> {
        let mut profiles = BTreeMap::new();
        for (file, text) in BUILT_IN {
            let profile = load::load(file, text)?;
            profiles.insert(profile.name().to_owned(), Arc::new(profile));
        }
        Ok(Self(profiles))
    }

    /// Adds an operator's profile read from `file`. It may hide a built-in profile of the same name, but not another own
    /// one.
    ///
    /// # Errors
    /// When another own profile has the same name.
    pub fn add_own(&mut self, mut profile: Profile, file: PathBuf) -> Result<(), TextFault> {
        let hidden = self.get(profile.name()).map(|hidden| hidden.origin.clone());
        if let Some(Origin::Own { file: other, .. }) = &hidden {
            let message = format!("the name `{}` is also that of {}", profile.name(), other.display());
            return Err(load::at(&file.display().to_string(), profile.source_toml(), "/name", &message));
        }
        profile.origin = Origin::Own { file, shadows_built_in: hidden.is_some() };
        self.0.insert(profile.name().to_owned(), Arc::new(profile));
        Ok(())
    }

    /// The profile of that name.
    pub fn get(&self, name: &str) -> Option<&Arc<Profile>> {
        self.0.get(name)
    }

    /// All names, sorted.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// Names of the profiles that only one of the catalogues has, or whose texts differ, sorted.
    pub fn differences(&self, other: &Self) -> Vec<String> {
        let text =
            |catalogue: &Self, name: &str| catalogue.get(name).map(|profile| profile.source_toml.clone());
        let names: BTreeSet<&str> = self.names().chain(other.names()).collect();
        names.into_iter().filter(|name| text(self, name) != text(other, name)).map(str::to_owned).collect()
    }

    /// The name most similar to `name`.
    pub fn nearest(&self, name: &str) -> Option<&str> {
        nearest(name, self.names())
    }

    /// All profiles, sorted by name.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Profile>> {
        self.0.values()
    }
}

/// Reads the text of an operator's profile. [`Catalogue::add_own`] records where it comes from.
///
/// # Errors
/// When it cannot be used, or the lint reports an error in it.
pub fn read_profile(file: &str, text: &str) -> Result<Profile, TextFault> {
    let profile = load::load(file, text)?;
    match mistakes(&profile).into_iter().find(|finding| finding.weight == Weight::Error) {
        Some(mistake) => Err(mistake.into_error(file.to_owned())),
        None => Ok(profile),
    }
}
