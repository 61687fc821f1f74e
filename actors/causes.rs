//! The message of an error together with its causes.

use std::error::Error;

/// Most causes in one text.
const CAUSES_MAX: usize = 8;

/// The message of `error`, followed by those of its causes. A cause whose message the text already contains is omitted.
/// No error of this library contains any part of a secret's value.
pub fn in_full(error: &dyn Error) -> String {
    let (mut text, mut cause) = (error.to_string(), error.source());
    for _ in 0..CAUSES_MAX {
        let Some(source) = cause else { break };
        let told = source.to_string();
        if !text.contains(&told) {
            text = format!("{text}: {told}");
        }
        cause = source.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    #[derive(Debug, thiserror::Error)]
    enum Layer {
        #[error("the upper")]
        Bare(#[source] Box<Layer>),
        #[error("it says: {0}")]
        Telling(#[source] io::Error),
    }

    #[test]
    fn every_cause_is_told_and_none_twice() {
        let telling = Layer::Telling(io::Error::other("the disk"));
        assert_eq!(in_full(&telling), "it says: the disk");
        assert_eq!(in_full(&Layer::Bare(Box::new(telling))), "the upper: it says: the disk");
        let mut long = Layer::Telling(io::Error::other("the end"));
        for _ in 0..CAUSES_MAX {
            long = Layer::Bare(Box::new(long));
        }
        assert!(!in_full(&Layer::Bare(Box::new(long))).contains("the end"));
    }
}
