//! Asking witnesses for their cosignatures, so that who reads the log knows that it has one history.
//!
//! Source: <https://c2sp.org/tlog-witness>, the call `add-checkpoint`.

use std::{collections::BTreeMap, time::Duration};

use aecp_contract::{
    digest::Digest,
    tlog::{
        TlogError,
        merkle::{Subtree, consistency_proof},
        note::{self, Note, VerifierKey},
        policy::LogPolicy,
        tile::{Tile, Unmade, hashes_at_hand},
        witness::{ADD_CHECKPOINT, AddCheckpoint},
    },
};
use bytes::Bytes;
use futures_util::future::join_all;
use reqwest::{Client, StatusCode, redirect};
use url::Url;

use crate::metrics::Metrics;

/// How long a connection to a witness, and one whole request, may take.
const CONNECT_TIME: Duration = Duration::from_secs(3);
const REQUEST_TIME: Duration = Duration::from_secs(10);

/// The most bytes of a witness's answer.
const MAX_ANSWER: usize = 16 << 10;

/// The witnesses of one log, and how many of them must cosign.
pub(super) struct Witnesses {
    policy: LogPolicy,
    client: Client,
    witnesses: Vec<Witness>,
}

struct Witness {
    key: VerifierKey,
    url: Url,
    /// The size of the last checkpoint that it cosigned, as far as is known here.
    old: u64,
}

/// A policy by which no witness can be asked.
#[derive(Debug, thiserror::Error)]
pub enum WitnessError {
    /// It is not said where the witness is.
    #[error("the log policy gives no http or https URL for the witness `{0}`")]
    NoUrl(String),
    /// There is no HTTP client.
    #[error("witnesses cannot be asked: {0}")]
    Client(#[from] reqwest::Error),
}

/// How a log's files are read.
pub(super) trait Tiles: Sync {
    /// The bytes of a tile.
    fn tile(&self, tile: &Tile) -> impl Future<Output = Result<Bytes, String>> + Send;
}

impl Witnesses {
    /// The witnesses of `policy`, for the log with this key, whatever logs the policy names.
    ///
    /// # Errors
    /// [`WitnessError`].
    pub(super) fn new(policy: LogPolicy, log: VerifierKey) -> Result<Self, WitnessError> {
        let policy = policy.for_log(log);
        let witness = |(key, url): (&VerifierKey, Option<&str>)| {
            let url = url.and_then(|url| Url::parse(&format!("{}/", url.trim_end_matches('/'))).ok());
            url.filter(|url| matches!(url.scheme(), "http" | "https"))
                .and_then(|url| url.join(ADD_CHECKPOINT).ok())
                .map(|url| Witness { key: key.clone(), url, old: 0 })
                .ok_or_else(|| WitnessError::NoUrl(key.name().to_owned()))
        };
        let witnesses = policy.witnesses().map(witness).collect::<Result<_, _>>()?;
        let client = Client::builder()
            .connect_timeout(CONNECT_TIME)
            .timeout(REQUEST_TIME)
            .redirect(redirect::Policy::none())
            .build()?;
        Ok(Self { policy, client, witnesses })
    }

    /// The checkpoint with the cosignatures of all witnesses that gave one. `checkpoint` has the log's own signature, and
    /// `size` entries, whose tiles are all there.
    ///
    /// # Errors
    /// The policy's, if its quorum did not cosign.
    pub(super) async fn cosigned(
        &mut self,
        checkpoint: &str,
        size: u64,
        tiles: &impl Tiles,
        metrics: &Metrics,
    ) -> Result<String, TlogError> {
        let client = &self.client;
        let asked =
            self.witnesses.iter_mut().map(|witness| witness.ask(client, checkpoint, size, tiles));
        let answers = join_all(asked).await;
        let mut note = checkpoint.to_owned();
        for (witness, answer) in self.witnesses.iter().zip(answers) {
            match answer {
                Ok(line) => note.push_str(&line),
                Err(why) => {
                    metrics.witness_failed();
                    tracing::warn!(witness = witness.key.name(), %why, "a witness did not cosign");
                }
            }
        }
        self.policy.trusted(note.as_bytes())?;
        Ok(note)
    }
}

impl Witness {
    /// Its cosignature line, or why there is none.
    async fn ask(
        &mut self,
        client: &Client,
        checkpoint: &str,
        size: u64,
        tiles: &impl Tiles,
    ) -> Result<String, String> {
        // What it cosigned last is not known after a start, or if its answer was lost: it says so, once.
        for _ in 0..2 {
            let proof = proof(self.old, size, tiles).await?;
            let request = AddCheckpoint { old: self.old, proof, checkpoint: checkpoint.to_owned() };
            let (status, body) = post(client, self.url.clone(), request.to_text()).await?;
            match status {
                StatusCode::OK => {
                    let line = self.own_line(checkpoint, &body)?;
                    self.old = size;
                    return Ok(line);
                }
                StatusCode::CONFLICT => {
                    let old = body.strip_suffix('\n').and_then(|line| line.parse().ok());
                    self.old = old.ok_or("it answered 409 without a size")?;
                    if self.old > size {
                        let old = std::mem::take(&mut self.old);
                        return Err(format!("it cosigned {old} entries, and there are only {size}"));
                    }
                }
                status => return Err(format!("it answered {status}: {:.200}", body.trim_end())),
            }
        }
        Err("it answered 409 again".to_owned())
    }

    /// The line of an answer with this witness's own valid cosignature; others are passed over.
    fn own_line(&self, checkpoint: &str, answer: &str) -> Result<String, String> {
        let text = Note::read(checkpoint.as_bytes()).map_err(|error| error.to_string())?.text();
        for line in answer.split_inclusive('\n') {
            let note = note::write(text, &[line.to_owned()]);
            let signed = Note::read(note.as_bytes()).and_then(|note| note.verify([&self.key]));
            if signed.is_ok_and(|signed| !signed.is_empty()) {
                return Ok(line.to_owned());
            }
        }
        Err("its answer has no cosignature by its key".to_owned())
    }
}

async fn post(client: &Client, url: Url, body: String) -> Result<(StatusCode, String), String> {
    // The cause says more than the error, which repeats the URL.
    let failed = |error: reqwest::Error| format!("{:#}", anyhow::Error::new(error));
    let mut response = client.post(url).body(body).send().await.map_err(failed)?;
    let mut bytes = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(failed)? {
        if bytes.len() + chunk.len() > MAX_ANSWER {
            return Err(format!("its answer is above {MAX_ANSWER} bytes"));
        }
        bytes.extend_from_slice(&chunk);
    }
    let body = String::from_utf8(bytes).map_err(|_| "its answer is not UTF-8")?;
    Ok((response.status(), body))
}

/// The proof that the log of `size` entries continues that of `old`.
async fn proof(old: u64, size: u64, tiles: &impl Tiles) -> Result<Vec<Digest>, String> {
    let mut fetched = BTreeMap::<Tile, Bytes>::new();
    loop {
        let proof = {
            let mut hashes = hashes_at_hand(size, &fetched);
            consistency_proof(old, size, &mut |subtree: Subtree| hashes.hash(subtree))
        };
        match proof {
            Ok(proof) => return Ok(proof),
            Err(Unmade::Needs(tile)) => drop(fetched.insert(tile, tiles.tile(&tile).await?)),
            Err(Unmade::Wrong(error)) => return Err(error.to_string()),
        }
    }
}
