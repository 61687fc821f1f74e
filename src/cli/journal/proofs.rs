//! Proofs, made by the console and checked here.

use std::path::Path;

use palyra_actors::journal::ProvenEvent;
use palyra_actors::limits::{NOTE_BYTES_MAX, PROOF_FILE_BYTES_MAX};
use palyra_actors::tlog::{
    Checkpoint, ConsistencyProof, DocumentError, InclusionProof, VerifierKey, signed_text,
};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::CheckArgs;
use crate::cli::client::{route, with_query};
use crate::cli::context::{Connection, Context, Need};
use crate::cli::error::{CliError, Kind};
use crate::cli::input;
use crate::cli::table::{Fields, Tone};
use crate::cli::view::shown;
use crate::exit::Exit;

/// `prove`: prints the proof in the form of its file.
pub fn prove(event: &str, context: &Context) -> Result<Exit, CliError> {
    let connection = context.connect(Need::WithoutIntegrations)?;
    let document = connection.client.get(&route(&["journal", "proof", event]))?;
    let proof: InclusionProof = parsed(document.clone())?;
    let key = own_key(&connection)?;
    if is_of_log(&proof.checkpoint, &key) {
        check_inclusion(&proof, &key)?;
    } else {
        tell_of_earlier_log(context);
    }
    context.out.document(&document)?;
    Ok(Exit::Ok)
}

/// `check-proof`.
pub fn check(args: &CheckArgs, context: &Context) -> Result<Exit, CliError> {
    let key = read_key(&args.public_key)?;
    let file = input::file(&args.file, PROOF_FILE_BYTES_MAX)?;
    let proof: Value = serde_json::from_slice(&file).map_err(|error| no_proof(&error))?;
    let verdict = if proof.get("path").is_some() && proof.get("old").is_some() {
        consistency_verdict(&parsed(proof)?, &key)?
    } else {
        check_inclusion(&parsed(proof)?, &key)?
    };
    context.out.answer(&verdict, verdict_text)?;
    Ok(Exit::Ok)
}

/// `consistency`: prints the proof in the form of its file.
pub fn consistency(old: &str, new: &str, context: &Context) -> Result<Exit, CliError> {
    let connection = context.connect(Need::WithoutIntegrations)?;
    let (old, new, is_newest) =
        (Named::read(old, &connection)?, Named::read(new, &connection)?, new == NEWEST);
    if is_newest && old.note.is_some() && old.size > new.size {
        return Err(lost_what_it_signed(old.size, new.size));
    }
    let query = [("old", Some(old.size.to_string())), ("new", Some(new.size.to_string()))];
    let found = connection.client.get(&with_query(route(&["journal", "consistency"]), &query));
    let found = found.map_err(|refused| old.or_lost(refused)).map_err(|refused| new.or_lost(refused))?;
    let mut proof: ConsistencyProof = parsed(found)?;
    // The checkpoint in the file is the one to prove, whatever checkpoint the journal has for that size.
    proof.old = old.note.unwrap_or(proof.old);
    proof.new = new.note.unwrap_or(proof.new);
    let key = own_key(&connection)?;
    match [&proof.old, &proof.new].map(|note| is_of_log(note, &key)) {
        [true, true] => drop(consistency_verdict(&proof, &key)?),
        [false, false] if origin(&proof.old) == origin(&proof.new) => {
            proof.check_unsigned().map_err(|_| not_shown_here())?;
            tell_of_earlier_log(context);
        }
        _ => return Err(of_two_logs()),
    }
    context.out.document(&json!(proof))?;
    Ok(Exit::Ok)
}

/// `checkpoint`: prints the note itself, byte for byte.
pub fn checkpoint(context: &Context) -> Result<Exit, CliError> {
    let connection = context.connect(Need::WithoutIntegrations)?;
    let newest = connection.client.post(&route(&["journal", "checkpoint"]), &json!({}))?;
    context.out.answer(&newest, |newest| shown(newest, "checkpoint"))?;
    Ok(Exit::Ok)
}

/// `public-key`.
pub fn public_key(context: &Context) -> Result<Exit, CliError> {
    let connection = context.connect(Need::WithoutIntegrations)?;
    let newest = connection.client.get(&route(&["journal", "checkpoint"]))?;
    let key = json!({"public_key": newest.get("public_key"), "origin": newest.get("origin")});
    context.out.answer(&key, |key| shown(key, "public_key") + "\n")?;
    Ok(Exit::Ok)
}

/// Reads a public key from a file.
pub fn read_key(path: &Path) -> Result<VerifierKey, CliError> {
    let unread = |fault: CliError| CliError { kind: Kind::Config, ..fault };
    let file = input::file(path, NOTE_BYTES_MAX as u64).map_err(unread)?;
    String::from_utf8_lossy(&file).parse().map_err(|error| {
        CliError::config(format!("{} cannot be used: {error}", path.display()))
            .hint("`palyra journal public-key` prints the key of a journal")
    })
}

/// The argument that stands for the newest checkpoint of the journal.
const NEWEST: &str = "newest";

/// A checkpoint named on the command line.
struct Named {
    size: u64,
    /// The checkpoint itself, if it was given in a file.
    note: Option<String>,
}

impl Named {
    fn read(word: &str, connection: &Connection) -> Result<Self, CliError> {
        if let Ok(size) = word.parse() {
            return Ok(Self { size, note: None });
        }
        if word == NEWEST {
            let newest = connection.client.get(&route(&["journal", "checkpoint"]))?;
            let size = newest.get("size").and_then(Value::as_u64).unwrap_or(0);
            return Ok(Self { size, note: None });
        }
        let file = input::file(Path::new(word), NOTE_BYTES_MAX as u64)?;
        let note = String::from_utf8_lossy(&file).into_owned();
        let checkpoint = signed_text(&note).ok().and_then(Checkpoint::parse);
        let size = checkpoint.map(|checkpoint| checkpoint.size).ok_or_else(|| {
            CliError::usage(format!("{word} contains no checkpoint"))
                .hint("name a size, `newest`, or a file with a checkpoint")
        })?;
        Ok(Self { size, note: Some(note) })
    }

    /// The error for a signed checkpoint that the journal does not know: the journal has lost it.
    fn or_lost(&self, refused: CliError) -> CliError {
        if self.note.is_none() || refused.code() != "not_found" {
            return refused;
        }
        let size = self.size;
        CliError::does_not_verify(format!(
            "the file has a checkpoint over {size} events, and the journal has none of that size"
        ))
        .hint("either it was signed for another journal, or this journal lost events that it covers")
    }
}

/// Whether a checkpoint belongs to the log of `key`. A malformed one passes, because the check reports it.
fn is_of_log(note: &str, key: &VerifierKey) -> bool {
    origin(note).is_none_or(|origin| origin == key.name())
}

/// The log that a checkpoint names.
fn origin(note: &str) -> Option<String> {
    signed_text(note).ok().and_then(Checkpoint::parse).map(|checkpoint| checkpoint.origin)
}

fn tell_of_earlier_log(context: &Context) {
    context.out.warn(
        "the checkpoint belongs to an earlier log of this journal, or to another journal: its signature is not checked here",
        "check it with the public key you kept from that time: `palyra journal check-proof FILE --public-key KEPT.pub`",
    );
}

fn lost_what_it_signed(kept: u64, newest: u64) -> CliError {
    CliError::does_not_verify(format!(
        "the kept checkpoint covers {kept} events, but the journal's newest checkpoint covers {newest}: the journal lost signed events, is an older copy, or is another journal"
    ))
    .hint("keep this journal as it is, and restore the newest copy; `palyra journal verify` says what else is missing")
}

fn of_two_logs() -> CliError {
    CliError::does_not_verify("the checkpoints belong to two logs: one is from before an accepted loss, or from another journal")
        .hint("compare checkpoints of the same log; `palyra system event list --name journal.rollback.accepted` shows when a new log began")
}

fn not_shown_here() -> CliError {
    CliError::does_not_verify("the journal cannot prove that the newer checkpoint contains the older one")
        .hint("ask the journal they were signed for; if it is this one, it lost events that they cover, or one of them was changed")
}

fn own_key(connection: &Connection) -> Result<VerifierKey, CliError> {
    let newest = connection.client.get(&route(&["journal", "checkpoint"]))?;
    let key = shown(&newest, "public_key").parse();
    key.map_err(|error| CliError::failed(format!("the journal's public key cannot be read: {error}")))
}

fn parsed<T: DeserializeOwned>(proof: Value) -> Result<T, CliError> {
    serde_json::from_value(proof).map_err(|error| no_proof(&error))
}

fn no_proof(error: &serde_json::Error) -> CliError {
    CliError::does_not_verify(format!("this is not a palyra proof: {error}"))
}

fn proves_nothing(error: &DocumentError) -> CliError {
    let hint = match error {
        DocumentError::Checkpoint(_) => {
            "if the journal accepted a loss, a new log began with a new key: try the key kept from before, or the newest one. If none \
             verifies it, do not rely on this proof; ask for a new one and compare"
        }
        _ => "do not rely on this proof; ask for a new one and compare",
    };
    CliError::does_not_verify(format!("the proof does not hold: {error}")).hint(hint)
}

fn check_inclusion(proof: &InclusionProof, key: &VerifierKey) -> Result<Value, CliError> {
    let (entry, checkpoint) = proof.check(key).map_err(|error| proves_nothing(&error))?;
    let disagrees = |what| proves_nothing(&DocumentError::Disagrees(what));
    let event = ProvenEvent::read(&entry).ok_or_else(|| disagrees("entry"))?;
    if event.seq != proof.seq {
        return Err(disagrees("seq"));
    }
    if event.event_id != proof.event_id {
        return Err(disagrees("event_id"));
    }
    Ok(json!({
        "holds": true,
        "origin": checkpoint.origin,
        "event": event,
        "leaf_hash": proof.leaf_hash,
        "checkpoint_size": checkpoint.size,
        "epoch": checkpoint.epoch,
    }))
}

fn consistency_verdict(proof: &ConsistencyProof, key: &VerifierKey) -> Result<Value, CliError> {
    let (old, new) = proof.check(key).map_err(|error| proves_nothing(&error))?;
    Ok(json!({"holds": true, "origin": new.origin, "old_size": old.size, "new_size": new.size}))
}

fn verdict_text(verdict: &Value) -> String {
    let mut fields = Fields::default();
    fields.toned(Tone::Good, "holds", "yes");
    fields.add("journal", shown(verdict, "origin"));
    match verdict.get("event") {
        Some(event) => {
            for name in
                ["seq", "event_id", "kind", "name", "source", "integration_id", "delivery_id", "body_sha256"]
            {
                fields.add(name.replace('_', " "), shown(event, name));
            }
            fields.add("checkpoint", format!("over {} events", shown(verdict, "checkpoint_size")));
        }
        None => {
            let [old, new] = ["old_size", "new_size"].map(|name| shown(verdict, name));
            fields.add("proven", format!("the journal of {new} events contains the first {old} unchanged"));
        }
    }
    fields.render(0)
}
