// Starts `aecp lsp` and lets VS Code speak with it. Everything else the server does.
const vscode = require("vscode");
const { LanguageClient } = require("vscode-languageclient/node");

let client;

async function activate() {
  const command = vscode.workspace.getConfiguration("aecp").get("command") || "aecp";
  client = new LanguageClient("aecp", "AECP", { command, args: ["lsp"] }, {
    documentSelector: [{ language: "aecp", scheme: "file" }, { language: "aecp", scheme: "untitled" }],
  });
  try {
    await client.start();
  } catch (error) {
    vscode.window.showErrorMessage(
      `AECP: \`${command} lsp\` does not start (${error.message}). Install aecp, or set aecp.command to its path.`,
    );
  }
}

function deactivate() {
  return client?.isRunning() ? client.stop() : undefined;
}

module.exports = { activate, deactivate };
