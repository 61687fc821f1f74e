//! What can be typed after `palyra webhooks`.

use std::path::PathBuf;
use std::str::FromStr;

use clap::builder::NonEmptyStringValueParser;
use clap::{Arg, ArgGroup, Args, Subcommand};
use serde_json::{Map, Value, json};

use crate::cli::since::Moment;

/// Commands for integrations.
#[derive(Debug, Subcommand)]
pub enum WebhooksCommand {
    /// Add an integration: an address that receives one provider's deliveries
    #[command(after_long_help = "\
It is enabled at once if it is ready. Otherwise it is stored disabled, the command says why, and the exit code is 1, unless
--disabled was given.

Examples:
  palyra webhooks add github github --secret-ref global/github
  palyra webhooks add billing stripe --secret-ref env:STRIPE_SECRET --allow-event invoice.paid
  palyra webhooks add deploys envelope --secret-ref global/deploys --allow-source ci --disabled")]
    Add(AddArgs),
    /// Change settings of an integration; settings that are not given stay as they are
    #[command(after_long_help = "\
Its dates and events are kept. A new secret reference or provider clears the result of the last test. A change that would make an
enabled integration unready is refused: run `palyra webhooks disable ID` first.

Examples:
  palyra webhooks set github --allow-event push --allow-event release
  palyra webhooks set billing --secret-ref global/stripe --max-payload-bytes 262144
  palyra webhooks set deploys --all-sources --on-filtered reject")]
    Set(SetArgs),
    /// List the integrations
    #[command(after_long_help = "\
Examples:
  palyra webhooks list --provider github --enabled true")]
    List(ListArgs),
    /// Show one integration, and what keeps it from being ready
    Show(IdArgs),
    /// Enable an integration, so that it accepts deliveries; it must be ready
    Enable(IdArgs),
    /// Disable an integration; its senders are answered 404, as if it did not exist
    Disable(IdArgs),
    /// Remove an integration; its events stay in the journal
    Remove(IdArgs),
    /// Run a captured delivery through every check, in order; only the result is stored
    #[command(visible_alias = "verify")]
    #[command(after_long_help = "\
Exit code 1 if a check fails. Duplicates are not detected.

Examples:
  palyra webhooks test github --payload-file push.json --header 'Content-Type: application/json' \\
      --header 'X-GitHub-Event: push' --header 'X-Hub-Signature-256: sha256=…'
  palyra webhooks test billing --payload-file paid.json --header 'Stripe-Signature: t=1782907200,v1=…' --at 1782907200
  curl -s https://example.com/captured | palyra webhooks verify github --payload-stdin --header '…'")]
    Test(TestArgs),
    /// Sign a delivery as the provider would, and post it to the running daemon's ingress
    #[command(after_long_help = "\
Exit code 1 if the answer is not 2xx; with --mutate, if it is not the status documented for that mutation (docs/answers.md).

Examples:
  palyra webhooks send github --event push
  palyra webhooks send github --event push --payload-file push.json")]
    Send(SendArgs),
    /// Explain why a delivery was refused, or what an integration accepts, and what to do about it
    #[command(after_long_help = "\
The answer to a refused delivery has an id in its header `Palyra-Refusal`, which most providers show beside the delivery. Refusals
that left no row are kept in memory only: the last 1,024, until the daemon stops.

Examples:
  palyra webhooks explain github
  palyra webhooks explain 17
  palyra webhooks explain 01ARZ3NDEKTSV4RRFFQ69G5FAV
  palyra webhooks explain 72d3162e-cc78-11e3-81ab-4c9367dc0958")]
    Explain(ExplainArgs),
}

/// Names what is to be explained.
#[derive(Debug, Args)]
pub struct ExplainArgs {
    /// Id of an integration, id from the header `Palyra-Refusal`, seq or id of an event, or the provider's id of a delivery
    #[arg(value_name = "ID|REFUSAL|EVENT|DELIVERY", value_parser = NonEmptyStringValueParser::new())]
    pub subject: String,
}

/// Names an integration.
#[derive(Debug, Args)]
pub struct IdArgs {
    /// Id of the integration
    #[arg(value_parser = NonEmptyStringValueParser::new())]
    pub id: String,
}

/// Arguments of `add`.
#[derive(Debug, Args)]
pub struct AddArgs {
    /// Id of the integration: a-z, 0-9 and `._-`, at most 64 characters; its address ends with it
    #[arg(value_parser = NonEmptyStringValueParser::new())]
    pub id: String,
    /// Name of the provider profile (see `palyra providers list`)
    pub provider: String,
    /// Where the secret is: `<scope>/<key>` in the vault, `env:NAME` or `file:PATH`; leave it out if the provider has no secret
    #[arg(long, value_name = "REF")]
    pub secret_ref: Option<String>,
    /// Verify with the provider's published keys, fetched from the address that its profile pins
    #[arg(long, conflicts_with_all = ["secret_ref", "allow_unsigned"])]
    pub published_keys: bool,
    #[command(flatten)]
    settings: SettingArgs,
    /// Store it disabled, even if it is ready
    #[arg(long)]
    pub disabled: bool,
    /// Accept deliveries without a signature: anybody who knows the address can post
    #[arg(long)]
    pub allow_unsigned: bool,
}

/// Arguments of `set`: what is not typed stays as it is, so that no help speaks of defaults.
#[derive(Debug, Args)]
#[command(mut_args(without_default))]
pub struct SetArgs {
    /// Id of the integration
    #[arg(value_parser = NonEmptyStringValueParser::new())]
    pub id: String,
    /// Use another provider profile; parameters set for the old one are removed
    #[arg(long, value_name = "P")]
    pub provider: Option<String>,
    /// New place of the secret: `<scope>/<key>` in the vault, `env:NAME` or `file:PATH`
    #[arg(long, value_name = "REF")]
    pub secret_ref: Option<String>,
    /// Verify with the provider's published keys
    #[arg(long, conflicts_with_all = ["secret_ref", "allow_unsigned"])]
    pub published_keys: bool,
    #[command(flatten)]
    settings: SettingArgs,
    /// Remove this parameter; may be given several times
    #[arg(long = "remove-parameter", value_name = "NAME")]
    removed_parameters: Vec<String>,
    /// Accept all events
    #[arg(long, conflicts_with = "allow_events")]
    pub all_events: bool,
    /// Accept deliveries from all sources
    #[arg(long, conflicts_with = "allow_sources")]
    pub all_sources: bool,
    /// Accept deliveries without a signature: anybody who knows the address can post
    #[arg(long)]
    pub allow_unsigned: bool,
    /// Accept only signed deliveries
    #[arg(long, conflicts_with = "allow_unsigned")]
    pub require_signature: bool,
}

fn without_default(arg: Arg) -> Arg {
    let help = arg.get_help().map(ToString::to_string).unwrap_or_default();
    match help.split_once(" [default:") {
        Some((said, _)) => arg.help(said.to_owned()),
        None => arg,
    }
}

/// What both can say.
#[derive(Debug, Args)]
struct SettingArgs {
    /// Display name [default: the id]
    #[arg(long, value_name = "N")]
    display_name: Option<String>,
    /// Accept only this event; may be given several times [default: all]
    #[arg(long = "allow-event", value_name = "E")]
    allow_events: Vec<String>,
    /// Accept only deliveries from this source; may be given several times [default: all]
    #[arg(long = "allow-source", value_name = "S")]
    allow_sources: Vec<String>,
    /// How to answer deliveries that --allow-event or --allow-source leaves out: accept (202) or reject (403) [default: accept]
    #[arg(long, value_name = "HOW", value_parser = ["accept", "reject"], hide_possible_values = true)]
    on_filtered: Option<String>,
    /// Largest accepted body, in bytes [default: 65536]
    #[arg(long, value_name = "N")]
    max_payload_bytes: Option<u64>,
    /// Seconds for which a repeated delivery counts as a duplicate; `default` removes the setting [default: the profile's, else the daemon's (7 days)]
    #[arg(long, value_name = "N", value_parser = parse_window)]
    replay_window_seconds: Option<Window>,
    /// Most deliveries accepted per second if no signature is required [default: 50]
    #[arg(long, value_name = "N")]
    unsigned_rate_per_second: Option<u32>,
    /// A value that the provider's profile needs besides the secret; for a token, its vault reference; may be given several times
    #[arg(long = "parameter", value_name = "NAME=VALUE", value_parser = parse_parameter)]
    parameters: Vec<(String, String)>,
}

impl SettingArgs {
    fn parameters(&self) -> Map<String, Value> {
        self.parameters.iter().map(|(name, value)| (name.clone(), json!(value))).collect()
    }

    /// The settings that were given, by their names in the console API.
    fn typed(&self) -> Map<String, Value> {
        let list = |texts: &[String]| (!texts.is_empty()).then(|| json!(texts));
        let parameters = self.parameters();
        named([
            ("display_name", self.display_name.as_ref().map(|name| json!(name))),
            ("allowed_events", list(&self.allow_events)),
            ("allowed_sources", list(&self.allow_sources)),
            ("on_filtered", self.on_filtered.as_ref().map(|how| json!(how))),
            ("max_payload_bytes", self.max_payload_bytes.map(Value::from)),
            ("replay_window_seconds", self.replay_window_seconds.map(|window| json!(window.0))),
            ("unsigned_rate_per_second", self.unsigned_rate_per_second.map(Value::from)),
            ("parameters", (!parameters.is_empty()).then_some(Value::Object(parameters))),
        ])
    }
}

fn named<const N: usize>(members: [(&str, Option<Value>); N]) -> Map<String, Value> {
    members.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect()
}

impl AddArgs {
    /// Whether the arguments say how deliveries are verified.
    pub fn says_what_verifies(&self) -> bool {
        self.secret_ref.is_some() || self.published_keys || self.allow_unsigned
    }

    /// The document that asks the console to add the integration. Settings that were not given are left to the daemon.
    pub fn draft(&self) -> Value {
        let mut draft = self.settings.typed();
        draft.extend(named([
            ("integration_id", Some(json!(self.id))),
            ("provider", Some(json!(self.provider))),
            ("secret_vault_ref", self.secret_ref.as_ref().map(|text| json!(text))),
            ("enabled", Some(json!(!self.disabled))),
            ("signature_required", Some(json!(!self.allow_unsigned))),
        ]));
        Value::Object(draft)
    }
}

impl SetArgs {
    /// The parameters to set, and null for those to remove.
    fn parameters(&self) -> Option<Value> {
        let mut parameters = self.settings.parameters();
        parameters.extend(self.removed_parameters.iter().map(|name| (name.clone(), Value::Null)));
        (!parameters.is_empty()).then_some(Value::Object(parameters))
    }

    /// The settings to change.
    pub fn amendment(&self) -> Map<String, Value> {
        let mut amendment = self.settings.typed();
        let none = || Value::Array(Vec::new());
        let secret = self.secret_ref.as_ref().map(|text| json!(text));
        let signed = self.require_signature || self.published_keys;
        amendment.extend(named([
            ("provider", self.provider.as_ref().map(|name| json!(name))),
            ("secret_vault_ref", secret.or_else(|| self.published_keys.then_some(Value::Null))),
            ("parameters", self.parameters()),
            ("allowed_events", self.all_events.then(none)),
            ("allowed_sources", self.all_sources.then(none)),
            ("signature_required", (signed || self.allow_unsigned).then_some(json!(signed))),
        ]));
        amendment
    }
}

/// The replay window in seconds; `None` restores the default.
#[derive(Debug, Clone, Copy)]
struct Window(Option<u64>);

fn parse_window(text: &str) -> Result<Window, String> {
    if text == "default" {
        return Ok(Window(None));
    }
    let seconds = text.parse().map_err(|_| "write a number of seconds, or `default`")?;
    Ok(Window(Some(seconds)))
}

fn parse_parameter(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("write the parameter as NAME=VALUE")?;
    Ok((name.to_owned(), value.to_owned()))
}

/// Arguments of `list`.
#[derive(Debug, Args)]
pub struct ListArgs {
    /// Only integrations of this provider
    #[arg(long, value_name = "P")]
    pub provider: Option<String>,
    /// Only enabled (true) or disabled (false) integrations
    #[arg(long, value_name = "BOOL")]
    pub enabled: Option<bool>,
}

/// Arguments of `test`.
#[derive(Debug, Args)]
#[command(group(ArgGroup::new("payload").required(true).args(["payload_file", "payload_stdin"])))]
pub struct TestArgs {
    /// Id of the integration
    #[arg(value_parser = NonEmptyStringValueParser::new())]
    pub id: String,
    /// File with the body of the delivery, byte for byte
    #[arg(long, value_name = "F")]
    pub payload_file: Option<PathBuf>,
    /// Read the body from stdin
    #[arg(long)]
    pub payload_stdin: bool,
    /// A header of the delivery; give it once for each header
    #[arg(long, value_name = "K: V")]
    pub header: Vec<HeaderArg>,
    /// Query of the delivery's URL (the part after `?`), for providers that sign the URL
    #[arg(long, value_name = "Q")]
    pub query: Option<String>,
    /// When the delivery arrived, so that its signed time is judged by that: 2026-07-01T12:00:00Z, or seconds since 1970 [default: now]
    #[arg(long, value_name = "TIME")]
    pub at: Option<Moment>,
}

/// Arguments of `send`.
#[derive(Debug, Args)]
pub struct SendArgs {
    /// Id of the integration
    #[arg(value_parser = NonEmptyStringValueParser::new())]
    pub id: String,
    /// Name of the event, in the provider's spelling
    #[arg(long, value_name = "E", value_parser = parse_event)]
    pub event: String,
    /// Body to send [default: a small example made by the daemon]
    #[arg(long, value_name = "F")]
    pub payload_file: Option<PathBuf>,
    /// Sign with this private key (PKCS #8, PEM), for providers that sign with a key pair; store its public key in the vault
    #[arg(long, value_name = "F")]
    pub private_key_file: Option<PathBuf>,
    /// Corrupt the delivery in this way, and expect the answer that docs/answers.md documents for it
    #[arg(long, value_name = "M", value_parser = MUTATIONS)]
    pub mutate: Option<String>,
}

/// Parses the name of an event, which must be a single line.
fn parse_event(text: &str) -> Result<String, &'static str> {
    match text.trim().is_empty() || text.contains(char::is_control) {
        true => Err("the name of an event must not be empty or contain control characters"),
        false => Ok(text.to_owned()),
    }
}

/// The values of `send --mutate`.
const MUTATIONS: [&str; 5] = ["signature", "timestamp", "body", "duplicate", "drop-header"];

/// A header in the notation of `curl -H`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeaderArg {
    /// The text before the first colon.
    pub name: String,
    /// The text after it, without surrounding blanks.
    pub value: String,
}

impl FromStr for HeaderArg {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (name, value) = text.split_once(':').ok_or("write it as 'Name: value'")?;
        // A token of RFC 9110, section 5.6.2.
        let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
        if name.is_empty() || !name.bytes().all(is_token) {
            return Err("the text before the colon is not a valid header name");
        }
        let value = value.trim_matches([' ', '\t']);
        if value.contains(|c: char| c.is_control() && c != '\t') {
            return Err("a header cannot contain control characters");
        }
        Ok(Self { name: name.to_owned(), value: value.to_owned() })
    }
}
