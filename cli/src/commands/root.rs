//! `aecp root`: who may do what, and how that changes.

use std::path::{Path, PathBuf};

use aecp_contract::{
    digest::Digest,
    trust::{Role, RootPayload, TrustRoot},
};
use anyhow::{Context as _, bail};
use clap::{Subcommand, ValueEnum};
use ed25519_dalek::SigningKey;

use super::{
    keygen::{public_key, write_new},
    publish::read_key,
    read,
};
use crate::{
    Outcome,
    terminal::{GOOD, PLAIN},
};

/// Show a trust root, or make the one that succeeds it
///
/// A trust root says which keys may sign what: `root` the next trust root, `judicial` releases, `author` submissions,
/// `break-glass` exceptions. It is changed by a successor, which the root keys of both sign. `aecp publish --root` with the
/// successor writes it to the store, and enforcers that trust the old one follow it from there: nothing is to be done
/// on their machines.
///
/// A key that is taken away signs nothing from then on; what it signed before stays in the history.
///
/// Example: aecp root show keys/root.json
/// Example: aecp root add keys/root.json --role author --public jane/public.pem --key keys/private.pem --out keys/root-2.json
/// Example: aecp root remove keys/root-2.json --role author --id 8f3c… --key keys/private.pem --out keys/root-3.json
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Show which keys have which role
    Show {
        /// The trust root
        #[arg(value_name = "ROOT")]
        root: PathBuf,
    },
    /// Give a key a role
    Add {
        #[command(flatten)]
        change: Change,
        /// The public key (PEM)
        #[arg(long, value_name = "FILE")]
        public: PathBuf,
    },
    /// Take a role from a key
    Remove {
        #[command(flatten)]
        change: Change,
        /// The key's id, or its first digits
        #[arg(long)]
        id: String,
    },
}

/// What makes a successor.
#[derive(Debug, clap::Args)]
struct Change {
    /// The trust root that is succeeded
    #[arg(value_name = "ROOT")]
    root: PathBuf,
    /// The role
    #[arg(long, value_enum)]
    role: RoleName,
    /// How many keys of the role must sign [default: as before, 1 for a new role]
    #[arg(long, value_name = "N")]
    threshold: Option<u32>,
    /// The private keys that sign the successor: enough root keys of both
    #[arg(long, value_name = "FILE", required = true)]
    key: Vec<PathBuf>,
    /// Where to write the successor; a file that is there is not overwritten
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum RoleName {
    /// Signs the next trust root
    Root,
    /// Signs releases
    Judicial,
    /// Signs submissions
    Author,
    /// Signs exceptions
    BreakGlass,
}

impl From<RoleName> for Role {
    fn from(name: RoleName) -> Self {
        match name {
            RoleName::Root => Self::Root,
            RoleName::Judicial => Self::Judicial,
            RoleName::Author => Self::Author,
            RoleName::BreakGlass => Self::BreakGlass,
        }
    }
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<Outcome> {
    match &arguments.command {
        Command::Show { root } => print(open(root)?.payload()),
        Command::Add { change, public } => {
            let key = public_key(public)?;
            succeed(change, |root| {
                root.add(change.role.into(), &key);
                Ok(())
            })?;
        }
        Command::Remove { change, id } => succeed(change, |root| {
            let key = one_key(root, id)?;
            if !root.remove(change.role.into(), key) {
                bail!("key {key} does not have this role");
            }
            Ok(())
        })?,
    }
    Ok(Outcome::Good)
}

fn open(path: &Path) -> anyhow::Result<TrustRoot> {
    TrustRoot::pinned(&read(path)?).with_context(|| format!("`{}` is no trust root", path.display()))
}

/// The key whose id begins so.
fn one_key(root: &RootPayload, id: &str) -> anyhow::Result<Digest> {
    let mut keys = root.keys.keys().filter(|key| !id.is_empty() && key.to_string().starts_with(id));
    match (keys.next(), keys.next()) {
        (Some(key), None) => Ok(*key),
        (Some(_), Some(_)) => bail!("the ids of several keys begin with `{id}`; give more digits"),
        (None, _) => bail!("the trust root has no key whose id begins with `{id}`"),
    }
}

/// Writes the successor of a root, after seeing that whoever trusts the old one will follow.
fn succeed(
    change: &Change,
    edit: impl FnOnce(&mut RootPayload) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let old = open(&change.root)?;
    let keys = change.key.iter().map(|path| read_key(path)).collect::<anyhow::Result<Vec<_>>>()?;
    let mut next = old.payload().clone();
    next.version = next.version.saturating_add(1);
    edit(&mut next)?;
    if let Some(threshold) = change.threshold {
        let holders = next.roles.get_mut(&change.role.into());
        holders.context("a role without keys has no threshold")?.threshold = threshold;
    }
    let json = next.sign(&keys.iter().collect::<Vec<&SigningKey>>()).to_json();
    old.successor(&json).context("nobody would follow this trust root")?;
    write_new(&change.out, &json, false)?;
    anstream::println!("{GOOD}made{PLAIN} trust root {}: {}", next.version, change.out.display());
    print(&next);
    println!("  publish with `--root {}`: enforcers follow it from the store", change.out.display());
    Ok(())
}

fn print(root: &RootPayload) {
    println!("trust root {}", root.version);
    for (role, holders) in &root.roles {
        let role = match role {
            Role::Root => "root",
            Role::Judicial => "judicial",
            Role::Author => "author",
            Role::BreakGlass => "break-glass",
        };
        println!("  {role:<11} {} of", holders.threshold);
        for key in &holders.keyids {
            println!("    {key}");
        }
    }
}

#[cfg(test)]
mod tests {
    use aecp_contract::dsse::key_id;

    use super::*;

    #[test]
    fn keys_are_found_by_the_first_digits_of_their_ids() {
        let keys = [1, 2].map(|seed| SigningKey::from_bytes(&[seed; 32]).verifying_key());
        let mut root = RootPayload::first(&keys[0], &[Role::Root]);
        root.add(Role::Author, &keys[1]);
        let id = key_id(&keys[1]).to_string();
        assert_eq!(one_key(&root, &id[..12]).unwrap(), key_id(&keys[1]));
        assert!(one_key(&root, "").is_err());
        assert!(one_key(&root, "xyz").is_err());
    }
}
