//! The server over real HTTP, in one binary: one file for each part of the checklist.

mod guide;
mod harness;
