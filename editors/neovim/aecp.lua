-- AECP policies in Neovim 0.11 or newer. Put this file into ~/.config/nvim/plugin/ ; docs/editors.md says more.

vim.filetype.add({ extension = { aecp = "aecp" } })

vim.lsp.config("aecp", {
  cmd = { "aecp", "lsp" },
  filetypes = { "aecp" },
  -- The repository is the workspace: the server finds the policy set in it.
  root_markers = { ".git" },
})
vim.lsp.enable("aecp")

vim.api.nvim_create_autocmd("FileType", {
  pattern = "aecp",
  callback = function()
    vim.bo.commentstring = "-- %s"
    vim.bo.shiftwidth = 2
    vim.bo.expandtab = true
    -- Words in capitals are the language's, whichever they are.
    vim.cmd([[
      syntax match Identifier /\<[a-z][a-z0-9_.]*\>/
      syntax match Keyword /\<[A-Z][A-Z_]\+\>/
      syntax match Number /-\?\<\d\+\(\.\d\+\|[a-z]\+\)\?\>/
      syntax region String start=/"/ skip=/\\./ end=/"/ oneline
      syntax match Comment /\(--\|#\).*$/
    ]])
  end,
})
