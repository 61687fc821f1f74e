//! Server-sent events, as the console sends them (WHATWG HTML, section 9.2).

/// One event of the stream.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Frame {
    /// Its `id:`; in the journal's stream, the seq.
    pub id: String,
    /// Its `event:`.
    pub event: String,
    /// Its `data:` lines, joined with line feeds.
    pub data: String,
}

/// Assembles frames from lines.
#[derive(Debug, Default)]
pub struct FrameParser {
    frame: Frame,
    has_data: bool,
}

impl FrameParser {
    /// Takes the next line, without its end; a blank line completes a frame. Frames without data, comments (the keep-alives)
    /// and unknown fields are ignored.
    pub fn push(&mut self, line: &str) -> Option<Frame> {
        if line.is_empty() {
            let complete = std::mem::take(self);
            return complete.has_data.then_some(complete.frame);
        }
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "id" => value.clone_into(&mut self.frame.id),
            "event" => value.clone_into(&mut self.frame.event),
            "data" => self.push_data(value),
            _ => {}
        }
        None
    }

    fn push_data(&mut self, value: &str) {
        if self.has_data {
            self.frame.data.push('\n');
        }
        self.frame.data.push_str(value);
        self.has_data = true;
    }
}

#[cfg(test)]
mod tests;
