//! What can be typed after `palyra system`.

use clap::builder::NonEmptyStringValueParser;
use clap::{Args, Subcommand, ValueEnum};
use palyra_actors::json;
use palyra_actors::limits::PAGE_EVENTS_DEFAULT;
use serde_json::{Map, Value};

use crate::cli::since::Since;

/// Most events that one `event list` shows; more are refused. `palyra journal export` has no limit.
const LIST_EVENTS_MAX: u64 = 100_000;

/// Commands for the daemon and its events.
#[derive(Debug, Subcommand)]
pub enum SystemCommand {
    /// Say whether the daemon is running and healthy; exit code 1 if it is unhealthy, 69 if it is not running
    #[command(visible_alias = "status")]
    Heartbeat,
    /// List the actors and connectors, and how often each was restarted
    Presence,
    /// Show the counters of every part of the daemon
    Insights,
    /// Print the metrics in the Prometheus text format, from `/console/v1/metrics`
    #[command(after_long_help = "\
With --json the text is the member `metrics` of a document; `palyra --json system insights` has the same counts as numbers.

Examples:
  palyra system metrics | grep palyra_deliveries_total
  palyra --json system metrics | jq -r .metrics")]
    Metrics,
    /// Reload webhooks.toml and providers/; exit code 1 if they have an error (the running configuration then stays in force)
    #[command(after_long_help = "\
Like `kill -HUP`, but it prints the result: what was added, removed and changed, or the file, line and field of the error.
`palyra daemon --check` finds the same errors beforehand. Changes to palyra.toml take effect after a restart.")]
    Reload,
    /// List, emit and follow events
    #[command(subcommand)]
    Event(EventCommand),
}

/// Commands for events.
#[derive(Debug, Subcommand)]
pub enum EventCommand {
    /// List events, newest last
    #[command(after_long_help = "\
Without --after it lists the newest events; with --after, the events that follow that one.

Examples:
  palyra system event list --integration github --since 2h
  palyra system event list --kind system --severity warn --limit 200
  palyra system event list --contains refs/heads/main --since 2026-07-01T00:00:00Z
  palyra --json system event list --after 1200 | jq .next_after")]
    List(ListArgs),
    /// Show one event in full
    #[command(after_long_help = "\
With --json the document also has the delivery's envelope. --body writes exactly the received bytes, the ones `body_sha256` covers;
on a terminal they are shown as safe text.

Examples:
  palyra system event show 17
  palyra --json system event show 01ARZ3NDEKTSV4RRFFQ69G5FAV | jq .envelope
  palyra system event show 17 --body > payload.json")]
    Show(ShowArgs),
    /// Emit an event of your own; it is stored as `system.operator.NAME`
    #[command(after_long_help = "\
Examples:
  palyra system event emit deploy.finished --message 'version 4 is live' --tag deploy
  palyra system event emit backup.failed --severity error --details '{\"disk\": \"/dev/sdb\"}'")]
    Emit(EmitArgs),
    /// Print the latest events, one per line; with --follow, also new ones as they arrive
    #[command(after_long_help = "\
With --json each line is a document. After a lost connection it reconnects and continues with the next event.

Examples:
  palyra system event tail --follow
  palyra --json system event tail --follow | jq -r .name")]
    Tail(TailArgs),
}

/// Arguments of `event list`.
#[derive(Debug, Default, Args)]
pub struct ListArgs {
    /// How many events
    #[arg(long, value_name = "N", default_value_t = PAGE_EVENTS_DEFAULT as u64)]
    #[arg(value_parser = clap::value_parser!(u64).range(1..=LIST_EVENTS_MAX))]
    pub limit: u64,
    /// Only events after this seq
    #[arg(long, value_name = "SEQ")]
    pub after: Option<u64>,
    /// Only events before this seq
    #[arg(long, value_name = "SEQ")]
    pub before: Option<u64>,
    /// Only accepted deliveries, or only all other events
    #[arg(long, value_name = "K")]
    pub kind: Option<KindArg>,
    /// Only events with exactly this name
    #[arg(long, value_name = "N")]
    pub name: Option<String>,
    /// Only events of this integration
    #[arg(long, value_name = "ID")]
    pub integration: Option<String>,
    /// Only events of this severity
    #[arg(long, value_name = "S")]
    pub severity: Option<SeverityArg>,
    /// Only events recorded since then: a time (2026-07-01T12:00:00Z), a span before now (15m, 2h, 3d), or milliseconds since 1970
    #[arg(long, value_name = "T")]
    pub since: Option<Since>,
    /// Only events with this text in the name, summary, source or delivery id
    #[arg(long, value_name = "S")]
    pub contains: Option<String>,
}

/// Arguments of `event show`.
#[derive(Debug, Args)]
pub struct ShowArgs {
    /// Seq or event id of the event
    #[arg(value_name = "SEQ|EVENT_ID", value_parser = NonEmptyStringValueParser::new())]
    pub event: String,
    /// Write only the body, byte for byte
    #[arg(long)]
    pub body: bool,
}

/// Arguments of `event emit`.
#[derive(Debug, Args)]
pub struct EmitArgs {
    /// Name of the event: a-z, 0-9 and `._:-`, at most 64 characters
    pub name: String,
    /// One sentence, at most 240 bytes
    #[arg(long, value_name = "M")]
    pub message: Option<String>,
    /// How serious it is
    #[arg(long, value_name = "S", default_value = "info")]
    pub severity: SeverityArg,
    /// A word to find it by, at most 64 bytes; may be given up to 16 times
    #[arg(long = "tag", value_name = "T")]
    pub tags: Vec<String>,
    /// More details: a JSON object of at most 8 KiB
    #[arg(long, value_name = "JSON", value_parser = json_object)]
    pub details: Option<Map<String, Value>>,
}

/// Arguments of `event tail`.
#[derive(Debug, Args)]
pub struct TailArgs {
    /// Keep running, and print new events as they arrive
    #[arg(short, long)]
    pub follow: bool,
}

/// Kind of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum KindArg {
    /// An accepted delivery
    Webhook,
    /// Anything else
    System,
}

impl KindArg {
    /// The name of the kind in the console API.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Webhook => "webhook",
            Self::System => "system",
        }
    }
}

/// Severity of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum SeverityArg {
    /// Expected in normal operation
    Info,
    /// Somebody should look, but not urgently
    Warn,
    /// Somebody should look now
    Error,
}

impl SeverityArg {
    /// The name of the severity in the console API.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warn => "warn",
            Self::Error => "error",
        }
    }
}

fn json_object(text: &str) -> Result<Map<String, Value>, String> {
    match json::exact(text) {
        Ok(Value::Object(details)) => Ok(details),
        Ok(_) => Err("this is JSON, but not an object".to_owned()),
        Err(error) => Err(error.to_string()),
    }
}
