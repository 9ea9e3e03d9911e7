//! The settings: in Spin the component's variables, elsewhere `wasi:config`.

use std::{collections::BTreeMap, fmt, str::FromStr, time::Duration};

use aecp_contract::{layout::Name, trust::TrustRoot, value};
use aecp_enforcer::record::{AttributeRules, PathPattern};

use crate::{audit::Audit, base::Base, token::Keys};

/// The most bytes of a body that policies look at, unless `aecp_max_body` says otherwise.
const MAX_BODY: usize = 256 << 10;

/// What `aecp_max_body` may be: a request's attributes have less room.
const LARGEST_BODY: usize = 1 << 20;

/// All settings, read once.
#[derive(Debug)]
pub(crate) struct Settings {
    /// The trust root that is pinned.
    pub(crate) root: TrustRoot,
    pub(crate) channel: Name,
    /// Where releases are fetched.
    #[cfg(not(feature = "sealed"))]
    pub(crate) store: Place,
    /// About how often a newer release is looked for.
    pub(crate) poll: Duration,
    /// Where requests go that may go on; `None` only in middleware.
    pub(crate) upstream: Option<Base>,
    pub(crate) upstream_timeout: Duration,
    /// The most bytes of a body that policies look at.
    pub(crate) max_body: usize,
    /// The header in which the host says where a request comes from; empty if it says nothing.
    pub(crate) client_address_header: String,
    /// How many proxies in front add to `x-forwarded-for`; with none that header means nothing.
    pub(crate) trusted_proxies: usize,
    /// Who signs tokens.
    pub(crate) token_keys: Option<Keys>,
    /// The key-value store that remembers.
    pub(crate) bucket: String,
    pub(crate) audit: Audit,
}

/// A place on the web and what lets one in.
#[derive(Clone)]
pub(crate) struct Place {
    pub(crate) base: Base,
    /// The value of the header `authorization`.
    pub(crate) authorization: Option<String>,
}

impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Place").field("host", &self.base.authority).finish_non_exhaustive()
    }
}

/// A setting that is missing or cannot be used; says which and why, never what it is.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct SettingError {
    name: &'static str,
    wrong: String,
}

impl fmt::Display for SettingError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the setting `{}` {}", self.name, self.wrong)
    }
}

impl Settings {
    /// Reads them. An empty one is as if it were not there.
    ///
    /// # Errors
    /// [`SettingError`], the first one.
    pub(crate) fn read(all: impl IntoIterator<Item = (String, String)>) -> Result<Self, SettingError> {
        let given = Given(all.into_iter().filter(|(_, text)| !text.trim().is_empty()).collect());
        let needs_upstream = !cfg!(feature = "middleware");
        Ok(Self {
            root: given.needed("aecp_root", |text| {
                TrustRoot::pinned(text.as_bytes())
                    .map_err(|refusal| format!("is no trust root: {refusal}"))
            })?,
            channel: given.needed("aecp_channel", parsed)?,
            #[cfg(not(feature = "sealed"))]
            store: Place {
                base: given.needed("aecp_store", parsed)?,
                authorization: given.text("aecp_store_authorization").map(str::to_owned),
            },
            poll: given.span("aecp_poll", Duration::from_secs(30))?,
            upstream: if needs_upstream { Some(given.needed("aecp_upstream", parsed)?) } else { None },
            upstream_timeout: given.span("aecp_upstream_timeout", Duration::from_secs(30))?,
            max_body: given.optional("aecp_max_body", max_body)?.unwrap_or(MAX_BODY),
            client_address_header: given
                .text("aecp_client_address_header")
                .unwrap_or("spin-client-addr")
                .to_ascii_lowercase(),
            trusted_proxies: given.optional("aecp_trusted_proxies", parsed)?.unwrap_or(0),
            token_keys: given.optional("aecp_jwt_keys", Keys::read)?.map(|keys| {
                let text = |name| given.text(name).map(str::to_owned);
                keys.expecting(text("aecp_jwt_issuer"), text("aecp_jwt_audience"))
            }),
            bucket: given.text("aecp_key_value_store").unwrap_or("default").to_owned(),
            audit: Audit {
                place: given.place("aecp_audit_store", "aecp_audit_authorization")?,
                key: given.optional("aecp_audit_key", Audit::read_key)?,
                instance: given.optional("aecp_instance", Audit::read_instance)?,
                every: given.span("aecp_audit_every", Duration::from_secs(60))?,
                rules: AttributeRules {
                    clear: given.paths("aecp_audit_clear")?,
                    mask: given.paths("aecp_audit_mask")?,
                    omit: given.paths("aecp_audit_omit")?,
                },
            }
            .checked()
            .map_err(|wrong| SettingError { name: "aecp_audit_key", wrong })?,
        })
    }
}

struct Given(BTreeMap<String, String>);

impl Given {
    fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(|text| text.trim())
    }

    fn optional<T>(
        &self,
        name: &'static str,
        read: impl FnOnce(&str) -> Result<T, String>,
    ) -> Result<Option<T>, SettingError> {
        self.text(name).map(read).transpose().map_err(|wrong| SettingError { name, wrong })
    }

    fn needed<T>(
        &self,
        name: &'static str,
        read: impl FnOnce(&str) -> Result<T, String>,
    ) -> Result<T, SettingError> {
        self.optional(name, read)?.ok_or_else(|| SettingError { name, wrong: "is missing".to_owned() })
    }

    fn place(&self, name: &'static str, authorization: &str) -> Result<Option<Place>, SettingError> {
        let authorization = self.text(authorization).map(str::to_owned);
        Ok(self.optional(name, parsed)?.map(|base| Place { base, authorization }))
    }

    fn span(&self, name: &'static str, default: Duration) -> Result<Duration, SettingError> {
        Ok(self.optional(name, span)?.unwrap_or(default))
    }

    fn paths(&self, name: &'static str) -> Result<Vec<PathPattern>, SettingError> {
        let read =
            |text: &str| text.split([',', ' ']).filter(|path| !path.is_empty()).map(parsed).collect();
        Ok(self.optional(name, read)?.unwrap_or_default())
    }
}

fn parsed<T: FromStr<Err: fmt::Display>>(text: &str) -> Result<T, String> {
    text.parse().map_err(|error| format!("cannot be used: {error}"))
}

/// A time like `30s`: at least a second, at most a day.
fn span(text: &str) -> Result<Duration, String> {
    let span: value::Duration =
        text.parse().map_err(|_| "is no time such as `30s` or `5m`".to_owned())?;
    let span = Duration::from_millis(u64::try_from(span.0).unwrap_or(0));
    let allowed = Duration::from_secs(1)..=Duration::from_hours(24);
    if allowed.contains(&span) { Ok(span) } else { Err("is not from `1s` to `24h`".to_owned()) }
}

fn max_body(text: &str) -> Result<usize, String> {
    let bytes = parsed(text)?;
    if bytes <= LARGEST_BODY { Ok(bytes) } else { Err(format!("is above {LARGEST_BODY} bytes")) }
}
