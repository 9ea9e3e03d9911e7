//! `aecp sign`: an author signs what they submit.

use std::path::PathBuf;

use aecp_contract::{
    dsse::{Envelope, key_id},
    layout::Name,
    legislation::{State, Submission},
};
use anyhow::{Context as _, bail};

use super::{
    SetArgument, now,
    publish::{read_key, state, states},
    read,
};
use crate::{
    Outcome,
    terminal::{GOOD, PLAIN},
};

/// Sign a policy set as its author, for one channel
///
/// Writes a submission: the digest of the set's sources, who submits them and why, and the states that policies are to
/// have (see `aecp publish --help`), signed with your own key. `aecp publish --submission` takes it if the trust root
/// names the key as an author's (`aecp root add`), and the release carries it: everybody can check that you submitted
/// this, and nobody can make you have submitted anything else. It holds until something else is accepted for the channel.
///
/// Where several authors must sign, the others add their signature with --add.
///
/// Example: aecp sign policies/hipaa --channel prod --key jane/private.pem --author "Jane Doe"
///          --justification "CR-1234: exports need consent" --out submission.json
/// Example: aecp sign policies/hipaa --key joe/private.pem --add submission.json --out submission-2.json
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Arguments {
    #[command(flatten)]
    set: SetArgument,
    /// Your private key
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
    /// The channel that it is for
    #[arg(long, required_unless_present = "add")]
    channel: Option<Name>,
    /// Who you are
    #[arg(long, value_name = "TEXT", required_unless_present = "add")]
    author: Option<String>,
    /// Why
    #[arg(long, value_name = "TEXT", required_unless_present = "add")]
    justification: Option<String>,
    /// Moves a policy to a state: draft, audit-only, advisory, blocking or retired
    #[arg(long, value_name = "POLICY=STATE", value_parser = state)]
    state: Vec<(String, State)>,
    /// A submission of the same set, to which to add your signature
    #[arg(long, value_name = "FILE",
          conflicts_with_all = ["channel", "author", "justification", "state"])]
    add: Option<PathBuf>,
    /// Where to write the submission
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<Outcome> {
    let key = read_key(&arguments.key)?;
    let source = arguments.set.sources()?.digest();
    let (submission, envelope) = match (&arguments.add, arguments) {
        (Some(path), _) => {
            let none = || format!("`{}` is no submission", path.display());
            let envelope = Envelope::from_json(&read(path)?).with_context(none)?;
            let submission = Submission::unverified(&envelope).with_context(none)?;
            if submission.source != source {
                bail!("`{}` is of other sources than these", path.display());
            }
            (submission, envelope.cosigned(&key)?)
        }
        (
            None,
            Arguments {
                channel: Some(channel),
                author: Some(author),
                justification: Some(justification),
                ..
            },
        ) => {
            let submission = Submission {
                channel: channel.clone(),
                source,
                author: author.clone(),
                justification: justification.clone(),
                issued: now()?,
                states: states(&arguments.state)?,
            };
            submission.check()?;
            let envelope = submission.sign(&[&key]);
            (submission, envelope)
        }
        _ => bail!("give --channel, --author and --justification, or --add"),
    };
    std::fs::write(&arguments.out, envelope.to_json())
        .with_context(|| format!("cannot write `{}`", arguments.out.display()))?;
    anstream::println!(
        "{GOOD}signed{PLAIN} {} as key {}",
        submission.source,
        key_id(&key.verifying_key())
    );
    println!("  channel        {}", submission.channel);
    println!("  author         {}", submission.author);
    println!("  justification  {}", submission.justification);
    for (policy, state) in &submission.states {
        println!("  moves          {policy} to {state}");
    }
    println!("  written        {}", arguments.out.display());
    Ok(Outcome::Good)
}
