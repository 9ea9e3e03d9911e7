//! What `wit/` declares, as Rust. HTTP itself, clocks and random numbers come from the crate `wasip3` and the standard
//! library.
#![allow(unsafe_code, missing_docs, unreachable_pub, clippy::all, reason = "generated from wit/")]

pub(super) mod host {
    wit_bindgen::generate!({ path: ["../contract/wit/policy.wit", "../contract/wit/sealed.wit", "wit"], world: "aecp:spin/guest", generate_all });
}

#[cfg(feature = "middleware")]
pub(super) mod next {
    wit_bindgen::generate!({
        path: ["../contract/wit/policy.wit", "../contract/wit/sealed.wit", "wit"],
        world: "aecp:spin/middleware",
        with: {
            "wasi:http/types@0.3.0": wasip3::http::types,
            "wasi:clocks/types@0.3.0": wasip3::clocks::types,
        },
        generate_all,
    });
}

#[cfg(feature = "sealed")]
pub(super) mod sealed {
    wit_bindgen::generate!({
        path: ["../contract/wit/policy.wit", "../contract/wit/sealed.wit", "wit"],
        world: "aecp:spin/sealed",
        generate_all,
    });
}
