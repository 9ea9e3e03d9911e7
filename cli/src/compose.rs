//! Components put together: the one for the edge with the policies of a release, and with the application that it is the
//! middleware of. The result is one component that imports neither.

use aecp_contract::release::{COMPONENT, MANIFEST};
use aecp_enforcer::VerifiedRelease;
use anyhow::{Context as _, bail};
use wac_graph::{
    CompositionGraph, EncodeOptions, NodeId,
    types::{ItemKind, Package},
};
use wasm_encoder::{
    CodeSection, ConstExpr, DataSection, ExportKind, ExportSection, Function, FunctionSection,
    MemorySection, MemoryType, Module, TypeSection, ValType,
};
use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::Resolve;

/// The policies, as the component for the edge imports them.
const POLICIES: &str = "aecp:policy/evaluation@0.1.0";

/// The release that they are of.
const RELEASE: &str = "aecp:sealed/release@0.1.0";

/// What an application exports, and middleware imports; without its version, whose last number does not matter.
const HANDLER: &str = "wasi:http/handler@0.3.";

/// The component, with the policies of `release` in the place of its imports if it is a sealed one, and with `app` below it
/// if it is middleware.
///
/// # Errors
/// What does not fit together, in words.
pub(crate) fn compose(
    edge: Vec<u8>,
    release: Option<&VerifiedRelease>,
    app: Option<Vec<u8>>,
) -> anyhow::Result<Vec<u8>> {
    let mut graph = CompositionGraph::new();
    let edge = instantiate(&mut graph, "edge", edge).context("--component cannot be used")?;
    let imports = names(&graph, edge, Direction::Imports);
    let is_sealed = imports.iter().any(|name| name == RELEASE);
    match release {
        Some(release) if is_sealed => {
            let policies = release.artifact(COMPONENT)?.to_vec();
            let policies = instantiate(&mut graph, "policies", policies)?;
            connect(&mut graph, policies, POLICIES, edge, POLICIES)?;
            let sealed = release_component(release.envelope(), release.artifact(MANIFEST)?)?;
            let sealed = instantiate(&mut graph, "release", sealed)?;
            connect(&mut graph, sealed, RELEASE, edge, RELEASE)?;
        }
        Some(_) => {
            bail!("--component takes no policies: it fetches them; a sealed one imports `{RELEASE}`")
        }
        None if is_sealed => {
            bail!("--component wants the policies of a release: give --store, --channel and --root")
        }
        None => {}
    }
    if let Some(app) = app {
        let Some(wanted) = imports.iter().find(|name| name.starts_with(HANDLER)) else {
            bail!("--component is no middleware: it imports no `{HANDLER}…`");
        };
        let app = instantiate(&mut graph, "app", app).context("--app cannot be used")?;
        let exports = names(&graph, app, Direction::Exports);
        let Some(offered) = exports.iter().find(|name| name.starts_with(HANDLER)) else {
            bail!("--app handles no HTTP of WASI 0.3: it exports no `{HANDLER}…`");
        };
        connect(&mut graph, app, offered, edge, wanted)?;
    }
    for name in names(&graph, edge, Direction::Exports) {
        let export = graph.alias_instance_export(edge, &name)?;
        graph.export(export, &name)?;
    }
    graph.encode(EncodeOptions::default()).context("the components do not fit together")
}

fn instantiate(graph: &mut CompositionGraph, name: &str, component: Vec<u8>) -> anyhow::Result<NodeId> {
    let package = Package::from_bytes(name, None, component, graph.types_mut())
        .context("it is no WebAssembly component")?;
    let package = graph.register_package(package)?;
    Ok(graph.instantiate(package))
}

/// Gives `to` what `from` exports.
fn connect(
    graph: &mut CompositionGraph,
    from: NodeId,
    export: &str,
    to: NodeId,
    import: &str,
) -> anyhow::Result<()> {
    let export = graph.alias_instance_export(from, export)?;
    Ok(graph.set_instantiation_argument(to, import, export)?)
}

enum Direction {
    Imports,
    Exports,
}

/// What an instantiated component imports or exports, by name.
fn names(graph: &CompositionGraph, node: NodeId, direction: Direction) -> Vec<String> {
    let Some(package) = graph[node].package() else { return Vec::new() };
    let world = &graph.types()[graph[package].ty()];
    let items = match direction {
        Direction::Imports => &world.imports,
        Direction::Exports => &world.exports,
    };
    let instances = items.iter().filter(|(_, kind)| matches!(kind, ItemKind::Instance(_)));
    instances.map(|(name, _)| name.clone()).collect()
}

/// A component that holds a release: its functions return these bytes.
fn release_component(envelope: &[u8], manifest: &[u8]) -> anyhow::Result<Vec<u8>> {
    let wit = format!("{}\nworld sealed {{ export release; }}", aecp_contract::SEALED_WIT);
    let mut resolve = Resolve::default();
    let package = resolve.push_str("sealed.wit", &wit)?;
    let world = resolve.select_world(&[package], Some("sealed"))?;
    let functions = [("envelope", envelope), ("manifest", manifest)]
        .map(|(name, bytes)| (format!("{RELEASE}#{name}"), bytes));
    let mut module = holding(&functions)?;
    embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8)?;
    ComponentEncoder::default().validate(true).module(&module)?.encode()
}

/// A core module with a memory full of these bytes, and a function for each of them that returns where its own are: the
/// address of their address and length, as the canonical ABI has lists.
fn holding(functions: &[(String, &[u8])]) -> anyhow::Result<Vec<u8>> {
    let mut data: Vec<u8> = Vec::new();
    let mut next = u32::try_from(8 * functions.len())?;
    for (_, bytes) in functions {
        let length = u32::try_from(bytes.len())?;
        data.extend(next.to_le_bytes());
        data.extend(length.to_le_bytes());
        next = next.checked_add(length).context("the release is too large")?;
    }
    for (_, bytes) in functions {
        data.extend_from_slice(bytes);
    }
    let (mut types, mut declared, mut code) =
        (TypeSection::new(), FunctionSection::new(), CodeSection::new());
    let (mut memories, mut exports, mut segments) =
        (MemorySection::new(), ExportSection::new(), DataSection::new());
    types.ty().function([], [ValType::I32]);
    let pages = u64::from(next).div_ceil(1 << 16);
    memories.memory(MemoryType {
        minimum: pages,
        maximum: Some(pages),
        memory64: false,
        shared: false,
        page_size_log2: None,
    });
    exports.export("memory", ExportKind::Memory, 0);
    for (index, (name, _)) in (0..).zip(functions) {
        declared.function(0);
        exports.export(name, ExportKind::Func, index);
        let mut body = Function::new([]);
        body.instructions().i32_const(i32::try_from(8 * index)?).end();
        code.function(&body);
    }
    segments.active(0, &ConstExpr::i32_const(0), data);
    let mut module = Module::new();
    module.section(&types).section(&declared).section(&memories).section(&exports);
    module.section(&code).section(&segments);
    Ok(module.finish())
}
