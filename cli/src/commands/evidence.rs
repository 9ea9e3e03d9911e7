//! `aecp evidence`: what an auditor asks about one control, in one file.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use aecp_contract::{
    dsse::{Envelope, key_id},
    layout::Name,
    trust::TrustRoot,
    value::Timestamp,
};
use anyhow::{Context as _, bail};
use clap::Subcommand;
use ed25519_dalek::SigningKey;

use super::{Format, keygen::public_key, now, publish::read_key, read};
use crate::{
    Outcome,
    audit::{Sources, TrustArguments, read_policy},
    evidence::{Asked, MAX_BYTES, PAYLOAD_TYPE, Pack, Report, collect, page, report, verify},
    terminal::{BAD, GOOD, PLAIN, count},
};

/// Write what an auditor asks about one control into one signed file, or check such a file offline
///
/// From the control to the policies that name it, their versions, authors and justifications, their tests and proofs, the
/// releases that enforced them and when, what was decided, each denial and each lifted denial with a proof that it is in
/// its enforcer's log, and what was not recorded. `--html` writes the same as a page to read and print.
///
/// Example: aecp evidence --control "GDPR Art. 44" --from 2026-01-01T00:00:00Z --to 2026-04-01T00:00:00Z
///          --releases s3://policies --channel prod --root keys/root.json --store s3://audit --log-policy logs.txt
///          --sign auditor/private.pem --out gdpr-44.json --html gdpr-44.html
/// Example: aecp evidence verify gdpr-44.json --signer auditor/public.pem
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment, args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    make: Option<Make>,
}

#[derive(Debug, Subcommand)]
enum Command {
    Verify(Verify),
}

// The logs' arguments stand here one by one, since clap cannot tell whether a group with groups in it was given.
#[derive(Debug, clap::Args)]
struct Make {
    /// The control, as COMPLIANCE fields name it
    #[arg(long, value_name = "TEXT")]
    control: String,
    /// From this time on (RFC 3339)
    #[arg(long, value_name = "TIME", value_parser = time)]
    from: Timestamp,
    /// Before this time (RFC 3339)
    #[arg(long, value_name = "TIME", value_parser = time)]
    to: Timestamp,
    /// The store with the releases and their history
    #[arg(long, value_name = "URL")]
    releases: String,
    /// The channel
    #[arg(long)]
    channel: Name,
    /// The trust root to believe
    #[arg(long, value_name = "FILE")]
    root: PathBuf,
    /// The stores with the logs
    #[arg(long = "store", value_name = "URL", required = true)]
    stores: Vec<String>,
    /// One log alone, by its name below audit/
    #[arg(long, value_name = "NAME")]
    log: Option<Name>,
    /// The store that older entries were moved to (`aecp audit archive`)
    #[arg(long, value_name = "URL")]
    archive: Option<String>,
    /// Public key of a log, as its enforcer says when it starts and `audit/<log>/vkey` holds it
    #[arg(
        long = "key",
        value_name = "VKEY",
        required_unless_present = "log_policy",
        conflicts_with = "log_policy"
    )]
    keys: Vec<String>,
    /// File that names trusted logs and witnesses (C2SP tlog-policy)
    #[arg(long, value_name = "FILE")]
    log_policy: Option<PathBuf>,
    /// The private key that signs the pack (any that you made with `aecp keygen`)
    #[arg(long, value_name = "FILE")]
    sign: PathBuf,
    /// The file to write
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// A page to write beside it
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// The most denials, and the most gaps, of each log that are proven; the others are counted
    #[arg(long, value_name = "N", default_value_t = 1000)]
    proofs: usize,
}

/// Check a pack offline: everything in it that somebody signed, and that nothing was changed
///
/// The pack's signer vouches for the sums over the logs, and for whose trust root and logs these are, unless you give
/// your own with --root and --log-policy.
///
/// Example: aecp evidence verify gdpr-44.json --signer auditor/public.pem --html gdpr-44.html
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
struct Verify {
    /// The pack
    #[arg(value_name = "FILE")]
    pack: PathBuf,
    /// The public key of whoever made it (PEM)
    #[arg(long, value_name = "FILE")]
    signer: PathBuf,
    /// The trust root that the pack must be of
    #[arg(long, value_name = "FILE")]
    root: Option<PathBuf>,
    /// The log policy (C2SP tlog-policy) that names whose logs these must be
    #[arg(long, value_name = "FILE")]
    log_policy: Option<PathBuf>,
    /// A page to write
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// For people or for machines
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<Outcome> {
    match (&arguments.command, &arguments.make) {
        (Some(Command::Verify(arguments)), _) => check(arguments),
        (None, Some(arguments)) => make(arguments),
        (None, None) => bail!("give --control and what it asks for, or `verify FILE`"),
    }
}

fn make(arguments: &Make) -> anyhow::Result<Outcome> {
    let key = read_key(&arguments.sign)?;
    let root = read(&arguments.root)?;
    if arguments.from >= arguments.to {
        bail!("--from must be before --to");
    }
    let asked = Asked {
        control: &arguments.control,
        channel: &arguments.channel,
        from: arguments.from,
        to: arguments.to,
        now: now()?,
        proofs: arguments.proofs,
    };
    let pack = super::block_on(async {
        let trust = TrustArguments::of(&arguments.keys, arguments.log_policy.as_deref());
        let logs =
            Sources::of(&arguments.stores, arguments.log.as_ref(), arguments.archive.as_deref(), trust)
                .logs()
                .await?;
        collect(&asked, &arguments.releases, &root, logs).await
    })?;
    // What nobody could verify is not written.
    let told = report(&pack, &verify(&pack, None, None)?)?;
    let bytes = sign(&pack, &key)?;
    fs::write(&arguments.out, &bytes)
        .with_context(|| format!("cannot write `{}`", arguments.out.display()))?;
    let signer = key_id(&key.verifying_key()).to_string();
    write_page(arguments.html.as_deref(), &told, &signer)?;
    anstream::println!("{GOOD}written{PLAIN} {} ({} bytes)", arguments.out.display(), bytes.len());
    print(&told);
    println!("  check it with: aecp evidence verify {} --signer PUBLIC_KEY", arguments.out.display());
    Ok(Outcome::Good)
}

fn sign(pack: &Pack, key: &SigningKey) -> anyhow::Result<Vec<u8>> {
    let bytes = Envelope::sign(PAYLOAD_TYPE, &serde_json::to_vec(pack)?, &[key]).to_json();
    if bytes.len() > MAX_BYTES {
        bail!("the pack would be larger than {MAX_BYTES} bytes; ask for less time or fewer --proofs");
    }
    Ok(bytes)
}

fn check(arguments: &Verify) -> anyhow::Result<Outcome> {
    let signer = public_key(&arguments.signer)?;
    let root = match &arguments.root {
        Some(path) => Some(TrustRoot::pinned(&read(path)?)?),
        None => None,
    };
    let logs = arguments.log_policy.as_deref().map(read_policy).transpose()?;
    let bytes = read(&arguments.pack)?;
    let checked = || -> anyhow::Result<Report> {
        let envelope = Envelope::from_json_within(&bytes, MAX_BYTES)?;
        let keys = BTreeMap::from([(key_id(&signer), signer)]);
        let payload =
            envelope.verify(PAYLOAD_TYPE, &keys, 1).context("it is not as --signer signed it")?;
        let pack: Pack = serde_json::from_slice(&payload).context("it is no pack of this version")?;
        report(&pack, &verify(&pack, root.as_ref(), logs.as_ref())?)
    };
    match checked() {
        Ok(told) => {
            write_page(arguments.html.as_deref(), &told, &key_id(&signer).to_string())?;
            match arguments.format {
                Format::Json => println!("{}", serde_json::to_string_pretty(&told)?),
                Format::Text => {
                    anstream::println!("{GOOD}verified{PLAIN} {}", arguments.pack.display());
                    print(&told);
                }
            }
            Ok(Outcome::Good)
        }
        Err(error) => {
            let why = format!("{error:#}");
            match arguments.format {
                Format::Json => println!("{}", serde_json::json!({ "verified": false, "detail": why })),
                Format::Text => anstream::println!("{BAD}refused{PLAIN} {why}"),
            }
            Ok(Outcome::Bad)
        }
    }
}

fn write_page(path: Option<&Path>, told: &Report, signer: &str) -> anyhow::Result<()> {
    let Some(path) = path else { return Ok(()) };
    fs::write(path, page(told, signer)).with_context(|| format!("cannot write `{}`", path.display()))
}

fn print(told: &Report) {
    println!(
        "  control    {}{}",
        told.control,
        told.title.as_ref().map_or_else(String::new, |t| format!(": {t}"))
    );
    println!("  time       {} to {}", told.from, told.to);
    println!("  policies   {}", told.policies.len());
    println!("  releases   {} in force", told.releases.len());
    let decisions: u64 = told.logs.iter().map(|log| log.sums.decisions).sum();
    let lost: u64 = told.logs.iter().map(|log| log.sums.lost).sum();
    println!(
        "  decisions  {decisions} in {}, {lost} not recorded",
        count(told.logs.len(), "log", "logs")
    );
    let of: u64 = told.logs.iter().map(|log| log.sums.shown_of).sum();
    println!(
        "  proven     {} of {of} denials and lifted denials by these policies",
        told.decisions.len()
    );
}

fn time(text: &str) -> Result<Timestamp, String> {
    text.parse().map_err(|_| "expected RFC 3339, such as 2026-03-01T00:00:00Z".to_owned())
}
