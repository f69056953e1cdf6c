//! Choices, and secrets and passwords: from a prompt that does not echo, or from one line of standard input.
//! Never from the arguments, which every process of the machine can read and every shell remembers.

use std::io::{BufRead as _, IsTerminal as _, Read as _};

use zeroize::Zeroizing;

use super::Failure;

/// No input is longer, in bytes.
const MAX_INPUT_BYTES: u64 = 64 * 1024;

/// Reads something secret that exists already.
pub(super) fn secret(question: &str) -> Result<Zeroizing<String>, Failure> {
    if std::io::stdin().is_terminal() {
        return ask(inquire::Password::new(question).without_confirmation());
    }
    line(question)
}

/// Reads a secret that a person chooses; at a prompt, twice.
pub(super) fn new_password(question: &str) -> Result<Zeroizing<String>, Failure> {
    if std::io::stdin().is_terminal() {
        return ask(inquire::Password::new(question));
    }
    line(question)
}

/// Reads something secret of which every line counts: all of standard input, without the last line
/// end.
pub(super) fn text(question: &str) -> Result<Zeroizing<String>, Failure> {
    if std::io::stdin().is_terminal() {
        return ask(inquire::Password::new(question).without_confirmation());
    }
    let mut text = Zeroizing::new(String::new());
    let read = std::io::stdin().lock().take(MAX_INPUT_BYTES).read_to_string(&mut text);
    finish(read, text, question)
}

/// Asks whether something is really meant that cannot be taken back. `yes` says so already; a
/// script that does not say it is refused.
pub(super) fn confirm(question: &str, yes: bool) -> Result<(), Failure> {
    if yes {
        return Ok(());
    }
    if !std::io::stdin().is_terminal() {
        return Err(Failure::mendable(format!("{question} Nobody is there to say yes"))
            .hint("run it on a terminal, or with --yes"));
    }
    match inquire::Confirm::new(question).with_default(false).prompt() {
        Ok(true) => Ok(()),
        Ok(false)
        | Err(
            inquire::InquireError::OperationCanceled | inquire::InquireError::OperationInterrupted,
        ) => Err(Failure::mendable("stopped; nothing was changed")),
        Err(error) => Err(Failure::unexplained("the prompt failed").because(&error)),
    }
}

/// Asks which of these, where somebody is there to answer. `None` otherwise.
pub(super) fn choice<T: std::fmt::Display>(
    question: &str,
    options: Vec<T>,
) -> Result<Option<T>, Failure> {
    if !std::io::stdin().is_terminal() || !std::io::stderr().is_terminal() {
        return Ok(None);
    }
    match inquire::Select::new(question, options).without_filtering().prompt() {
        Ok(chosen) => Ok(Some(chosen)),
        Err(
            inquire::InquireError::OperationCanceled | inquire::InquireError::OperationInterrupted,
        ) => Err(Failure::mendable("stopped; nothing was changed")),
        Err(error) => Err(Failure::unexplained("the prompt failed").because(&error)),
    }
}

fn ask(prompt: inquire::Password<'_>) -> Result<Zeroizing<String>, Failure> {
    match prompt.with_display_mode(inquire::PasswordDisplayMode::Hidden).prompt() {
        Ok(text) if text.is_empty() => Err(Failure::mendable("nothing was typed")),
        Ok(text) => Ok(Zeroizing::new(text)),
        Err(
            inquire::InquireError::OperationCanceled | inquire::InquireError::OperationInterrupted,
        ) => Err(Failure::mendable("stopped; nothing was changed")),
        Err(error) => Err(Failure::unexplained("the prompt failed").because(&error)),
    }
}

/// One line of standard input, without its line end. The line end is no part of a secret; blanks
/// may be.
fn line(question: &str) -> Result<Zeroizing<String>, Failure> {
    let mut text = Zeroizing::new(String::new());
    let read = std::io::stdin().lock().take(MAX_INPUT_BYTES).read_line(&mut text);
    finish(read, text, question)
}

fn finish(
    read: std::io::Result<usize>,
    mut text: Zeroizing<String>,
    question: &str,
) -> Result<Zeroizing<String>, Failure> {
    match read {
        Ok(_) => {
            let line = text.strip_suffix('\n').unwrap_or(&text);
            let kept = line.strip_suffix('\r').unwrap_or(line).len();
            text.truncate(kept);
        }
        Err(error) if error.kind() == std::io::ErrorKind::InvalidData => {
            return Err(Failure::mendable("what came on standard input is not UTF-8 text"));
        }
        Err(error) => return Err(error.into()),
    }
    if text.is_empty() {
        return Err(Failure::mendable(format!(
            "nothing came on standard input, where this was expected: {question}"
        ))
        .hint("pipe it in, or run the command on a terminal to be asked for it"));
    }
    Ok(text)
}
