//! Attribute types and values: exact numbers, instants, addresses, and lists of them.

use std::{fmt, net::IpAddr, str::FromStr};

use serde::{Deserialize, Serialize};

/// The type of an attribute, as SCHEMA declares it or as its uses imply it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Type {
    /// Unicode text.
    String,
    /// A signed 64-bit integer.
    Int,
    /// An exact decimal number ([`Decimal`]).
    Decimal,
    /// `true` or `false`.
    Bool,
    /// An instant ([`Timestamp`]).
    Timestamp,
    /// A span of time in milliseconds ([`Duration`]).
    Duration,
    /// An IPv4 or IPv6 address ([`Ip`]).
    Ip,
    /// Text out of a closed list.
    Enum(Vec<String>),
    /// A list whose elements have one type, itself no list.
    List(Box<Type>),
    /// Only its presence is ever asked for (EXISTS, IS MISSING).
    Any,
}

impl Type {
    /// True of STRING and ENUM, which are both text and compare with each other.
    #[must_use]
    pub fn is_text(&self) -> bool {
        matches!(self, Self::String | Self::Enum(_))
    }
}

impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::String => f.write_str("STRING"),
            Self::Int => f.write_str("INT"),
            Self::Decimal => f.write_str("DECIMAL"),
            Self::Bool => f.write_str("BOOL"),
            Self::Timestamp => f.write_str("TIMESTAMP"),
            Self::Duration => f.write_str("DURATION"),
            Self::Ip => f.write_str("IP"),
            Self::Any => f.write_str("ANY"),
            Self::List(element) => write!(f, "LIST<{element}>"),
            Self::Enum(members) => {
                f.write_str("ENUM(")?;
                for (i, member) in members.iter().enumerate() {
                    write!(f, "{}{member:?}", if i == 0 { "" } else { ", " })?;
                }
                f.write_str(")")
            }
        }
    }
}

/// A usable attribute value. Ordering is meaningful between values of one type only.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Value {
    /// BOOL.
    Bool(bool),
    /// INT.
    Int(i64),
    /// DECIMAL.
    Decimal(Decimal),
    /// STRING and ENUM.
    Text(String),
    /// TIMESTAMP.
    Timestamp(Timestamp),
    /// DURATION.
    Duration(Duration),
    /// IP.
    Ip(Ip),
    /// LIST.
    List(Vec<Value>),
}

impl Value {
    /// The value of this type that stands in plain text: that of a STRING or ENUM as it is, `42`, `1.5`, `true`, `15m`,
    /// instants and addresses. `None` for what is none, and for lists.
    #[must_use]
    pub fn from_text(text: &str, ty: &Type) -> Option<Self> {
        Some(match ty {
            Type::String | Type::Enum(_) => Self::Text(text.to_owned()),
            Type::Int => Self::Int(text.parse().ok()?),
            Type::Decimal => Self::Decimal(text.parse().ok()?),
            Type::Bool => Self::Bool(text.parse().ok()?),
            Type::Timestamp => Self::Timestamp(text.parse().ok()?),
            Type::Duration => Self::Duration(text.parse().ok()?),
            Type::Ip => Self::Ip(text.parse().ok()?),
            Type::List(_) | Type::Any => return None,
        })
    }
}

impl Value {
    /// The JSON that a request has for it; numbers keep every digit.
    #[must_use]
    pub fn to_json(&self) -> String {
        match self {
            Self::Duration(duration) => format!("\"{duration}\""),
            Self::List(elements) => {
                let elements: Vec<String> = elements.iter().map(Self::to_json).collect();
                format!("[{}]", elements.join(","))
            }
            other => other.to_string(),
        }
    }
}

/// As the language writes it, texts, instants and addresses in quotes.
impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bool(b) => write!(f, "{b}"),
            Self::Int(n) => write!(f, "{n}"),
            Self::Decimal(d) => write!(f, "{d}"),
            Self::Duration(d) => write!(f, "{d}"),
            Self::Text(text) => write!(f, "{}", serde_json::Value::from(text.as_str())),
            Self::Timestamp(time) => write!(f, "\"{time}\""),
            Self::Ip(address) => write!(f, "\"{address}\""),
            Self::List(elements) => {
                f.write_str("[")?;
                for (i, element) in elements.iter().enumerate() {
                    write!(f, "{}{element}", if i == 0 { "" } else { ", " })?;
                }
                f.write_str("]")
            }
        }
    }
}

/// What a request has for one attribute.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Attribute {
    /// Not in the request (or `null`, which is the same).
    #[default]
    Missing,
    /// In the request, but not a value of the attribute's type: atoms on it are UNKNOWN, EXISTS is TRUE.
    Invalid,
    /// A value of the attribute's type.
    Present(Value),
}

/// An exact decimal number with 18 digits after the point, within ±1.7 × 10²⁰.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Decimal(i128);

/// Digits after the decimal point that a [`Decimal`] keeps.
const DECIMAL_DIGITS: i32 = 18;

impl Decimal {
    /// The number times 10¹⁸.
    #[must_use]
    pub const fn scaled(self) -> i128 {
        self.0
    }

    /// The number whose product with 10¹⁸ is `scaled`.
    #[must_use]
    pub const fn from_scaled(scaled: i128) -> Self {
        Self(scaled)
    }
}

impl From<i64> for Decimal {
    fn from(integer: i64) -> Self {
        Self(i128::from(integer) * 10i128.pow(DECIMAL_DIGITS as u32))
    }
}

/// The text is not a value of the type asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a value of this type")]
pub struct NotAValue;

/// Reads a JSON number exactly; refuses what 18 digits after the point or 128 bits cannot hold.
impl FromStr for Decimal {
    type Err = NotAValue;

    fn from_str(text: &str) -> Result<Self, NotAValue> {
        let (mantissa, exponent) = match text.split_once(['e', 'E']) {
            Some((mantissa, exponent)) => (mantissa, exponent.parse::<i32>().map_err(|_| NotAValue)?),
            None => (text, 0),
        };
        let (negative, digits) = match mantissa.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, mantissa),
        };
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
        if whole.is_empty() || !(whole.bytes().chain(fraction.bytes())).all(|b| b.is_ascii_digit()) {
            return Err(NotAValue);
        }
        // Trailing zeros carry no value; dropping them keeps `1.50000…0` within 18 digits.
        let fraction = fraction.trim_end_matches('0');
        let mut scaled: i128 = 0;
        for digit in whole.bytes().chain(fraction.bytes()) {
            scaled = scaled
                .checked_mul(10)
                .and_then(|n| n.checked_add(i128::from(digit - b'0')))
                .ok_or(NotAValue)?;
        }
        let shift = i64::from(DECIMAL_DIGITS) + i64::from(exponent) - fraction.len() as i64;
        let mut left = shift.unsigned_abs();
        while left > 0 && scaled != 0 {
            scaled = if shift > 0 {
                scaled.checked_mul(10).ok_or(NotAValue)?
            } else if scaled % 10 == 0 {
                scaled / 10
            } else {
                return Err(NotAValue);
            };
            left -= 1;
        }
        Ok(Self(if negative { -scaled } else { scaled }))
    }
}

impl fmt::Display for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let one = 10u128.pow(DECIMAL_DIGITS as u32);
        let magnitude = self.0.unsigned_abs();
        let fraction = format!("{:018}", magnitude % one);
        let fraction = fraction.trim_end_matches('0');
        let sign = if self.0 < 0 { "-" } else { "" };
        write!(f, "{sign}{}.{}", magnitude / one, if fraction.is_empty() { "0" } else { fraction })
    }
}

/// An instant with nanoseconds, read from RFC 3339 text of any offset; leap seconds count as the next second.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp {
    /// Seconds since 1970-01-01T00:00:00Z.
    pub seconds: i64,
    /// Nanoseconds within the second, below 10⁹.
    pub nanoseconds: u32,
}

impl FromStr for Timestamp {
    type Err = NotAValue;

    fn from_str(text: &str) -> Result<Self, NotAValue> {
        let instant = chrono::DateTime::parse_from_rfc3339(text).map_err(|_| NotAValue)?;
        // chrono shows a leap second as nanoseconds ≥ 10⁹ in second 59.
        let nanoseconds = instant.timestamp_subsec_nanos();
        Ok(Self {
            seconds: instant.timestamp() + i64::from(nanoseconds / 1_000_000_000),
            nanoseconds: nanoseconds % 1_000_000_000,
        })
    }
}

/// RFC 3339 in UTC, with no more digits than needed.
impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match chrono::DateTime::from_timestamp(self.seconds, self.nanoseconds) {
            Some(instant) => f.write_str(&instant.to_rfc3339_opts(chrono::SecondsFormat::AutoSi, true)),
            None => write!(f, "@{}", self.seconds),
        }
    }
}

impl Serialize for Timestamp {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(|_| serde::de::Error::custom("expected an RFC 3339 timestamp"))
    }
}

/// A span of time in milliseconds, written as a number and a unit: `250ms`, `90s`, `15m`, `24h`, `30d`, `2w`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Duration(pub i64);

/// The units of a duration and their milliseconds, longest span first.
const DURATION_UNITS: [(&str, i64); 6] =
    [("w", 604_800_000), ("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];

impl FromStr for Duration {
    type Err = NotAValue;

    fn from_str(text: &str) -> Result<Self, NotAValue> {
        let unit_at = text.find(|c: char| c.is_ascii_alphabetic()).ok_or(NotAValue)?;
        let (number, unit) = text.split_at(unit_at);
        let digits = number.strip_prefix('-').unwrap_or(number);
        if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
            return Err(NotAValue);
        }
        let (_, milliseconds) =
            DURATION_UNITS.iter().find(|(name, _)| *name == unit).ok_or(NotAValue)?;
        let number: i64 = number.parse().map_err(|_| NotAValue)?;
        number.checked_mul(*milliseconds).map(Self).ok_or(NotAValue)
    }
}

/// The longest unit that divides the span: `90m` rather than `5400s`.
impl fmt::Display for Duration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (unit, milliseconds) = DURATION_UNITS
            .iter()
            .find(|(_, milliseconds)| self.0 != 0 && self.0 % milliseconds == 0)
            .unwrap_or(&("s", 1_000));
        write!(f, "{}{unit}", self.0 / milliseconds)
    }
}

/// An IP address as 128 bits; an IPv4 address is the IPv6 address it maps to, so both forms are equal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ip(pub u128);

impl From<IpAddr> for Ip {
    fn from(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(v4) => Self(v4.to_ipv6_mapped().to_bits()),
            IpAddr::V6(v6) => Self(v6.to_bits()),
        }
    }
}

impl FromStr for Ip {
    type Err = NotAValue;

    fn from_str(text: &str) -> Result<Self, NotAValue> {
        text.parse::<IpAddr>().map(Self::from).map_err(|_| NotAValue)
    }
}

impl fmt::Display for Ip {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&std::net::Ipv6Addr::from_bits(self.0).to_canonical(), f)
    }
}

/// A network in CIDR notation ([RFC 4632](https://www.rfc-editor.org/rfc/rfc4632)), over [`Ip`]'s 128 bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Cidr {
    /// The first address: every bit after the prefix is zero.
    pub network: Ip,
    /// Leading bits that an address shares with the network, 0 to 128 (IPv4 prefixes count from 96).
    pub prefix: u8,
}

impl Cidr {
    /// The bits of an address that must equal the network's.
    #[must_use]
    pub fn mask(self) -> u128 {
        u128::MAX.checked_shl(128 - u32::from(self.prefix)).unwrap_or(0)
    }

    /// Whether `ip` lies in the network.
    #[must_use]
    pub fn contains(self, ip: Ip) -> bool {
        ip.0 & self.mask() == self.network.0
    }

    /// Reads `address/prefix`, clearing the bits after the prefix; says whether there were any.
    ///
    /// # Errors
    /// The text is no address and prefix length within that address's family.
    pub fn parse_lenient(text: &str) -> Result<(Self, bool), NotAValue> {
        let (address, prefix) = text.split_once('/').ok_or(NotAValue)?;
        let prefix: u8 = prefix.parse().map_err(|_| NotAValue)?;
        let (bits, offset) = if address.contains(':') { (128, 0) } else { (32, 96) };
        if prefix > bits {
            return Err(NotAValue);
        }
        let ip: Ip = address.parse()?;
        let mut cidr = Self { network: ip, prefix: prefix + offset };
        cidr.network = Ip(ip.0 & cidr.mask());
        Ok((cidr, cidr.network != ip))
    }
}

impl fmt::Display for Cidr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let v4 = self.prefix >= 96 && Ip(self.network.0).to_string().contains('.');
        write!(f, "{}/{}", self.network, if v4 { self.prefix - 96 } else { self.prefix })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_are_exact_and_refuse_what_they_cannot_hold() {
        let parse = |text: &str| text.parse::<Decimal>();
        assert_eq!(parse("0.1").map(Decimal::scaled), Ok(100_000_000_000_000_000));
        assert_eq!(parse("-2.50"), parse("-2.5"));
        assert_eq!(parse("25e-1"), parse("2.5"));
        assert_eq!(parse("1E2"), Ok(Decimal::from(100)));
        assert_eq!(parse("0e999999999"), Ok(Decimal::from(0)));
        assert_eq!(parse("1e-18").map(Decimal::scaled), Ok(1));
        assert_eq!(parse("1e-19"), Err(NotAValue));
        assert_eq!(parse("1e30"), Err(NotAValue));
        for bad in ["", "-", ".5", "1.2.3", "+1", "1e", "NaN"] {
            assert_eq!(parse(bad), Err(NotAValue), "{bad}");
        }
        assert_eq!(parse("-12.340").map(|d| d.to_string()).as_deref(), Ok("-12.34"));
    }

    #[test]
    fn timestamps_compare_across_offsets_and_fractions() {
        let parse = |text: &str| text.parse::<Timestamp>();
        assert_eq!(parse("2026-01-01T01:00:00+01:00"), parse("2026-01-01T00:00:00Z"));
        assert!(
            parse("2026-01-01T00:00:00.000000001Z").unwrap() > parse("2026-01-01T00:00:00Z").unwrap()
        );
        assert_eq!(parse("2026-01-01"), Err(NotAValue));
        assert_eq!(
            parse("9999-12-31T23:59:59Z").map(|t| t.to_string()).as_deref(),
            Ok("9999-12-31T23:59:59Z")
        );
    }

    #[test]
    fn durations_print_in_the_longest_unit_that_divides_them() {
        for text in ["250ms", "90s", "15m", "24h", "30d", "2w", "-5m"] {
            let read: Duration = text.parse().unwrap();
            assert_eq!(read.to_string().parse(), Ok(read));
        }
        assert_eq!(Duration(5_400_000).to_string(), "90m");
        for bad in ["", "15", "m", "1.5h", "15 m", "15x", "9999999999999999d"] {
            assert_eq!(bad.parse::<Duration>(), Err(NotAValue), "{bad}");
        }
    }

    #[test]
    fn networks_contain_their_addresses_in_either_family() {
        let (ten, host_bits) = Cidr::parse_lenient("10.0.0.0/8").unwrap();
        assert!(!host_bits);
        assert!(ten.contains("10.255.0.1".parse().unwrap()));
        assert!(ten.contains("::ffff:10.1.2.3".parse().unwrap()));
        assert!(!ten.contains("11.0.0.0".parse().unwrap()));
        let (any, _) = Cidr::parse_lenient("::/0").unwrap();
        assert!(any.contains("203.0.113.9".parse().unwrap()));
        let (fixed, host_bits) = Cidr::parse_lenient("192.168.7.9/16").unwrap();
        assert!(host_bits);
        assert_eq!(fixed.to_string(), "192.168.0.0/16");
        assert_eq!(Cidr::parse_lenient("10.0.0.0/33"), Err(NotAValue));
    }
}
