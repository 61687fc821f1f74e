//! The JSON Schemas (2020-12) of `schemas/`, compiled in and compiled once.
//!
//! They are what the code validates with. No reference leaves the embedded documents.
