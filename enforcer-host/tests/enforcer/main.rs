//! The enforcer over real parts: signed releases in a local folder, WebAssembly, HTTP, processes.

mod fixture;
mod hostile;
mod http;
mod load;
mod modules;
mod process;
mod releases;
