//! The permitted values of each setting in `palyra.toml`, and what to write instead of an invalid one.

use palyra_actors::ids::nearest;
use palyra_actors::limits::{PAYLOAD_BYTES_CAP_MAX, REPLAY_WINDOW_SECONDS_MAX, REPLAY_WINDOW_SECONDS_MIN};

/// The kind of value that a setting takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// The default is at this port of the loopback address.
    Address {
        default_port: u16,
    },
    Url,
    Flag,
    Number {
        least: u64,
        most: u64,
    },
    Path,
    LogFormat,
}

/// Default port of the ingress.
pub const INGRESS_PORT_DEFAULT: u16 = 7142;
/// Default port of the console.
pub const CONSOLE_PORT_DEFAULT: u16 = 7143;

const LOG_FORMATS: [&str; 2] = ["text", "json"];
const SECONDS: Form = Form::Number { least: 1, most: 300 };

pub const FIELDS: [(&str, Form); 18] = [
    ("ingress", Form::Address { default_port: INGRESS_PORT_DEFAULT }),
    ("public_url", Form::Url),
    ("console", Form::Address { default_port: CONSOLE_PORT_DEFAULT }),
    ("console_allow_remote", Form::Flag),
    ("workers", Form::Number { least: 1, most: 256 }),
    ("in_flight_max", Form::Number { least: 1, most: 4_096 }),
    ("in_flight_bytes_max", Form::Number { least: 1_048_576, most: 1 << 40 }),
    ("head_deadline_seconds", SECONDS),
    ("body_deadline_seconds", SECONDS),
    ("idle_deadline_seconds", SECONDS),
    ("answer_deadline_seconds", SECONDS),
    ("drain_deadline_seconds", SECONDS),
    ("payload_bytes_cap", Form::Number { least: 1, most: PAYLOAD_BYTES_CAP_MAX }),
    (
        "replay_window_seconds",
        Form::Number { least: REPLAY_WINDOW_SECONDS_MIN, most: REPLAY_WINDOW_SECONDS_MAX },
    ),
    ("heartbeat_interval_seconds", Form::Number { least: 1, most: 86_400 }),
    ("anchor_dir", Form::Path),
    ("key_roots_file", Form::Path),
    ("log_format", Form::LogFormat),
];

impl Form {
    /// The form of the setting with that name, if it exists.
    pub fn of(field: &str) -> Option<Self> {
        FIELDS.iter().find(|(name, _)| *name == field).map(|(_, form)| *form)
    }

    /// The noun for it in messages.
    pub fn noun(self) -> &'static str {
        match self {
            Self::Address { .. } => "an address and a port",
            Self::Url => "a URL",
            Self::Flag => "true or false",
            Self::Number { .. } => "a whole number",
            Self::Path => "a path",
            Self::LogFormat => "a log format",
        }
    }

    /// What to write instead of `written`.
    pub fn remedy(self, written: &str) -> String {
        match self {
            Self::Address { default_port } => {
                let write =
                    format!("write an IP address and a port in quotes: `\"127.0.0.1:{default_port}\"`");
                match host_name(written) {
                    Some(host) => format!("`{host}` is a host name; {write}"),
                    None => write,
                }
            }
            Self::Url => "write it in quotes: `\"https://your.host\"`".to_owned(),
            Self::Flag => "write `true` or `false`, without quotes".to_owned(),
            Self::Number { least, most } => {
                format!("write a whole number, {least} to {most}, without quotes")
            }
            Self::Path => "write the path in quotes".to_owned(),
            Self::LogFormat => match nearest(written.trim_matches('"'), LOG_FORMATS) {
                Some(near) => format!("did you mean `\"{near}\"`? Write `\"text\"` or `\"json\"`"),
                None => "write `\"text\"` or `\"json\"`".to_owned(),
            },
        }
    }
}

/// The host in front of a port, if it is a name.
fn host_name(written: &str) -> Option<&str> {
    let (host, port) = written.trim().trim_matches('"').rsplit_once(':')?;
    let is_name = host.contains(|c: char| c.is_ascii_alphabetic())
        && host.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-'));
    (is_name && port.parse::<u16>().is_ok()).then_some(host)
}
