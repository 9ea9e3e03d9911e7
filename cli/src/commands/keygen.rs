//! `aecp keygen`: a key pair and the first trust root.

use std::{
    fs::{self, OpenOptions},
    io::Write as _,
    path::{Path, PathBuf},
};

use aecp_contract::{
    dsse::key_id,
    trust::{Role, RootPayload},
};
use anyhow::{Context as _, bail};
use ed25519_dalek::{
    SigningKey, VerifyingKey,
    pkcs8::{
        DecodePublicKey as _, EncodePrivateKey as _, EncodePublicKey as _, spki::der::pem::LineEnding,
    },
};

use super::read;
use crate::{
    Outcome,
    terminal::{GOOD, PLAIN},
};

/// The private key's file.
pub(crate) const PRIVATE_KEY: &str = "private.pem";
/// The public key's file.
const PUBLIC_KEY: &str = "public.pem";
/// The trust root's file, which `aecp publish` looks for beside the key.
pub(crate) const TRUST_ROOT: &str = "root.json";

/// Make an Ed25519 key pair (PKCS#8 PEM) and a first trust root that believes it
///
/// Writes private.pem (readable by you alone), public.pem and root.json. Enforcers pin root.json; it gives the
/// key the roles root (to sign the next trust root) and judicial (to sign releases). Files that are there
/// already are never overwritten.
///
/// With --author it makes a key pair for somebody who signs what they submit (`aecp sign`), and no trust root; whoever
/// holds the root key names them with `aecp root add`.
///
/// Example: aecp keygen --out keys
/// Example: aecp keygen --author --out jane
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Arguments {
    /// The folder to write to; made if it is not there
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// A key for an author, without a trust root
    #[arg(long)]
    author: bool,
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<Outcome> {
    let out = arguments.out.display();
    if arguments.author {
        let key = pair(&arguments.out, &[PRIVATE_KEY, PUBLIC_KEY])?;
        anstream::println!("{GOOD}made{PLAIN} key {}", key_id(&key.verifying_key()));
        anstream::println!("  {out}/{PRIVATE_KEY}  keep it secret: what it signs is yours");
        anstream::println!("  {out}/{PUBLIC_KEY}   give it to whoever holds the root key");
        return Ok(Outcome::Good);
    }
    let key = generate(&arguments.out)?;
    anstream::println!("{GOOD}made{PLAIN} key {}", key_id(&key.verifying_key()));
    anstream::println!("  {out}/{PRIVATE_KEY}  keep it secret: it signs releases");
    anstream::println!("  {out}/{PUBLIC_KEY}");
    anstream::println!("  {out}/{TRUST_ROOT}     give it to every enforcer: it is what they trust");
    Ok(Outcome::Good)
}

/// Makes the files of one key in `folder`, with a first trust root that believes it.
pub(crate) fn generate(folder: &Path) -> anyhow::Result<SigningKey> {
    let key = pair(folder, &[PRIVATE_KEY, PUBLIC_KEY, TRUST_ROOT])?;
    let root = RootPayload::first(&key.verifying_key(), &[Role::Root, Role::Judicial]);
    write_new(&folder.join(TRUST_ROOT), &root.sign(&[&key]).to_json(), false)?;
    Ok(key)
}

/// Makes a key pair in `folder`, if none of these files is there.
fn pair(folder: &Path, files: &[&str]) -> anyhow::Result<SigningKey> {
    fs::create_dir_all(folder).with_context(|| format!("cannot make `{}`", folder.display()))?;
    for name in files {
        let path = folder.join(name);
        if path.exists() {
            bail!("`{}` is there already; choose another folder or move it away", path.display());
        }
    }
    let mut seed = [0; 32];
    getrandom::fill(&mut seed).context("the system gives no random numbers")?;
    let key = SigningKey::from_bytes(&seed);
    let private = key.to_pkcs8_pem(LineEnding::LF).context("cannot encode the key")?;
    let public =
        key.verifying_key().to_public_key_pem(LineEnding::LF).context("cannot encode the key")?;
    write_new(&folder.join(PRIVATE_KEY), private.as_bytes(), true)?;
    write_new(&folder.join(PUBLIC_KEY), public.as_bytes(), false)?;
    Ok(key)
}

/// Writes a file that must not be there yet.
pub(crate) fn write_new(path: &Path, bytes: &[u8], secret: bool) -> anyhow::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, if secret { 0o600 } else { 0o644 });
    options
        .open(path)
        .and_then(|mut file| file.write_all(bytes))
        .with_context(|| format!("cannot write `{}`", path.display()))
}

/// Reads a public key (PEM).
pub(crate) fn public_key(path: &Path) -> anyhow::Result<VerifyingKey> {
    let pem = String::from_utf8(read(path)?).unwrap_or_default();
    VerifyingKey::from_public_key_pem(&pem)
        .map_err(|_| anyhow::anyhow!("`{}` is no Ed25519 public key in PEM", path.display()))
}
