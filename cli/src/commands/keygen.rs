//! `aecp keygen`: a key pair and the first trust root.

use std::{
    fs::{self, OpenOptions},
    io::Write as _,
    path::{Path, PathBuf},
};

use aecp_compiler::keys;
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
use zeroize::Zeroizing;

use super::read;
use crate::{
    Outcome,
    terminal::{GOOD, PLAIN},
};

/// The private key's file.
pub(crate) const PRIVATE_KEY: &str = "private.pem";
/// The private key's file if a key management service has wrapped it.
const WRAPPED_KEY: &str = "private.json";
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
/// With --kms the private key is wrapped by a key management service and written as private.json, which only whoever the
/// service lets can use; it takes the place of private.pem everywhere.
///
/// Example: aecp keygen --out keys
/// Example: aecp keygen --out keys --kms awskms:///alias/aecp
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
    /// Wrap it: awskms:///KEY, gcpkms://projects/…/cryptoKeys/KEY or azurekms://VAULT/KEY
    #[arg(long, value_name = "KEY")]
    kms: Option<String>,
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<Outcome> {
    let (out, kms) = (arguments.out.display(), arguments.kms.as_deref());
    let key = pair(&arguments.out, kms, !arguments.author)?;
    anstream::println!("{GOOD}made{PLAIN} key {}", key_id(&key.verifying_key()));
    let use_ = if arguments.author { "what it signs is yours" } else { "it signs releases" };
    match kms {
        None => anstream::println!("  {out}/{PRIVATE_KEY}  keep it secret: {use_}"),
        Some(_) => anstream::println!("  {out}/{WRAPPED_KEY}  for whoever the service lets: {use_}"),
    }
    if arguments.author {
        anstream::println!("  {out}/{PUBLIC_KEY}   give it to whoever holds the root key");
    } else {
        anstream::println!("  {out}/{PUBLIC_KEY}");
        anstream::println!("  {out}/{TRUST_ROOT}     give it to every enforcer: it is what they trust");
    }
    Ok(Outcome::Good)
}

/// Makes the files of one key in `folder`, with a first trust root that believes it.
pub(crate) fn generate(folder: &Path) -> anyhow::Result<SigningKey> {
    pair(folder, None, true)
}

/// Makes a key pair in `folder`, if none of its files is there; wrapped by a service if one is named, and with a first
/// trust root if that is wanted.
fn pair(folder: &Path, kms: Option<&str>, with_root: bool) -> anyhow::Result<SigningKey> {
    fs::create_dir_all(folder).with_context(|| format!("cannot make `{}`", folder.display()))?;
    let private_file = if kms.is_some() { WRAPPED_KEY } else { PRIVATE_KEY };
    for name in [private_file, PUBLIC_KEY].into_iter().chain(with_root.then_some(TRUST_ROOT)) {
        let path = folder.join(name);
        if path.exists() {
            bail!("`{}` is there already; choose another folder or move it away", path.display());
        }
    }
    let mut seed = Zeroizing::new([0; 32]);
    getrandom::fill(&mut *seed).context("the system gives no random numbers")?;
    let key = SigningKey::from_bytes(&seed);
    let private = match kms {
        None => key.to_pkcs8_pem(LineEnding::LF).context("cannot encode the key")?,
        Some(kms) => {
            let wrapped = super::block_on(async { Ok(keys::wrap(&key, kms).await?) })?;
            Zeroizing::new(serde_json::to_string_pretty(&wrapped)? + "\n")
        }
    };
    let public =
        key.verifying_key().to_public_key_pem(LineEnding::LF).context("cannot encode the key")?;
    write_new(&folder.join(private_file), private.as_bytes(), true)?;
    write_new(&folder.join(PUBLIC_KEY), public.as_bytes(), false)?;
    if with_root {
        let root = RootPayload::first(&key.verifying_key(), &[Role::Root, Role::Judicial]);
        write_new(&folder.join(TRUST_ROOT), &root.sign(&[&key]).to_json(), false)?;
    }
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
