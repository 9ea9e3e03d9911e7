//! The core module wrapped as a component of the world `aecp:policy/policy`, for any component host.

use aecp_contract::POLICY_WIT;
use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::Resolve;

/// Wraps `core`, the bytes that [`super::core_module`] made.
///
/// # Errors
/// The text of the encoder's complaint; it means a fault in the code generator.
pub fn component(core: &[u8]) -> Result<Vec<u8>, String> {
    let wrap = || {
        let mut resolve = Resolve::default();
        let package = resolve.push_str("policy.wit", POLICY_WIT)?;
        let world = resolve.select_world(&[package], Some("policy"))?;
        let mut module = core.to_vec();
        embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8)?;
        ComponentEncoder::default().validate(true).module(&module)?.encode()
    };
    wrap().map_err(|error| format!("{error:#}"))
}
