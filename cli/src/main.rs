//! `aecp`: the one command for authors, operators and auditors. Nothing here compiles or decides; each command
//! calls the compiler or the enforcer and shows what they say.

mod archive;
mod audit;
mod commands;
mod compose;
mod diagnostics;
mod evidence;
mod lsp;
mod profile;
mod terminal;
mod witness;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Policies in plain words, compiled to signed WebAssembly, enforced beside the workload.
///
/// Exit codes: 0 all is well; 1 the policies, tests or release are not; 2 the command could not be carried out.
#[derive(Debug, Parser)]
#[command(version, max_term_width = 100)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Check(commands::check::Arguments),
    Fmt(commands::fmt::Arguments),
    Test(commands::test::Arguments),
    Diff(commands::diff::Arguments),
    CoverageMap(commands::coverage_map::Arguments),
    Compile(commands::compile::Arguments),
    Keygen(commands::keygen::Arguments),
    Root(commands::root::Arguments),
    Sign(commands::sign::Arguments),
    Publish(commands::publish::Arguments),
    Sync(commands::sync::Arguments),
    Status(commands::status::Arguments),
    History(commands::history::Arguments),
    Decide(commands::decide::Arguments),
    Explain(commands::explain::Arguments),
    Verify(commands::verify::Arguments),
    Compose(commands::compose::Arguments),
    Bench(commands::bench::Arguments),
    Dev(commands::dev::Arguments),
    Audit(commands::audit::Arguments),
    Evidence(commands::evidence::Arguments),
    Replay(commands::replay::Arguments),
    Report(commands::report::Arguments),
    Witness(commands::witness::Arguments),
    Lsp(commands::lsp::Arguments),
}

/// What a command came to, where it could be carried out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    /// All is well.
    Good,
    /// The policies, tests or release are not in order; the command has said how.
    Bad,
}

fn main() -> ExitCode {
    end_quietly_without_readers();
    let result = match Arguments::parse().command {
        Command::Check(arguments) => commands::check::run(&arguments),
        Command::Fmt(arguments) => commands::fmt::run(&arguments),
        Command::Test(arguments) => commands::test::run(&arguments),
        Command::Diff(arguments) => commands::diff::run(&arguments),
        Command::CoverageMap(arguments) => commands::coverage_map::run(&arguments),
        Command::Compile(arguments) => commands::compile::run(&arguments),
        Command::Keygen(arguments) => commands::keygen::run(&arguments),
        Command::Root(arguments) => commands::root::run(&arguments),
        Command::Sign(arguments) => commands::sign::run(&arguments),
        Command::History(arguments) => commands::history::run(&arguments),
        Command::Publish(arguments) => commands::publish::run(&arguments),
        Command::Sync(arguments) => commands::sync::run(&arguments),
        Command::Status(arguments) => commands::status::run(&arguments),
        Command::Decide(arguments) => commands::decide::run(&arguments),
        Command::Explain(arguments) => commands::explain::run(&arguments),
        Command::Verify(arguments) => commands::verify::run(&arguments),
        Command::Compose(arguments) => commands::compose::run(&arguments),
        Command::Bench(arguments) => commands::bench::run(&arguments),
        Command::Dev(arguments) => commands::dev::run(&arguments),
        Command::Evidence(arguments) => commands::evidence::run(&arguments),
        Command::Audit(arguments) => commands::audit::run(&arguments),
        Command::Replay(arguments) => commands::replay::run(&arguments),
        Command::Report(arguments) => commands::report::run(&arguments),
        Command::Witness(arguments) => commands::witness::run(&arguments),
        Command::Lsp(arguments) => commands::lsp::run(&arguments),
    };
    match result {
        Ok(Outcome::Good) => ExitCode::SUCCESS,
        Ok(Outcome::Bad) => ExitCode::from(1),
        Err(error) if is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            terminal::error(&error);
            ExitCode::from(2)
        }
    }
}

/// Printing panics where nobody reads any more; that is the end, and no failure.
fn end_quietly_without_readers() {
    let report = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        let message = panic.payload_as_str().unwrap_or_default();
        if message.starts_with("failed printing to stdout") && message.contains("Broken pipe") {
            std::process::exit(0);
        }
        report(panic);
    }));
}

/// A reader such as `head` that has seen enough is no failure.
fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| {
        cause
            .downcast_ref::<std::io::Error>()
            .is_some_and(|error| error.kind() == std::io::ErrorKind::BrokenPipe)
    })
}
