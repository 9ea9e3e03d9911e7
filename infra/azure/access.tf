# Who may do what, by roles of our own and conditions on blobs' paths. Nobody here may delete anything.

locals {
  blobs = "Microsoft.Storage/storageAccounts/blobServices/containers/blobs"
  # An action of the role is allowed only below these paths; whatever it is not about is not restricted by it. Names are
  # listed by the same action as blobs are read: the function and enforcers may, uploaders below their own prefix.
  where  = "(!(ActionMatches{'${local.blobs}/%s'})) OR (%s)"
  read   = "(!(ActionMatches{'${local.blobs}/read'} AND NOT SubOperationMatches{'Blob.List'})) OR (%s)"
  list   = "(!(ActionMatches{'${local.blobs}/read'} AND SubOperationMatches{'Blob.List'})) OR (@Request[${local.blobs}:prefix] StringLike '%s*')"
  path   = "@Resource[${local.blobs}:path] StringLike '%s*'"
  writes = ["write", "add/action"]

  published = [for prefix in ["blobs", "releases", "legislation", "channels", "root", "reports"] : "${prefix}/"]
  served    = [for prefix in ["blobs", "releases", "channels", "root"] : "${prefix}/"]

  may_read  = { for who, paths in local.reads : who => format(local.read, join(" OR ", [for path in paths : format(local.path, path)])) }
  may_list  = { for set in keys(var.uploaders) : "uploader/${set}" => " AND (${format(local.list, "reports/${set}/")})" }
  may_write = { for who, paths in local.puts : who => join(" AND ", [for action in local.writes : "(${format(local.where, action, join(" OR ", [for path in paths : format(local.path, path)]))})"]) }

  reads = merge(
    { function = concat(local.published, ["inbox/"]), replica = local.published },
    { for set in keys(var.uploaders) : "uploader/${set}" => ["reports/${set}/"] },
    { for log in keys(var.enforcers) : "enforcer/${log}" => concat(local.served, ["openings/${log}/", "openings/${log}-"]) },
    { for log in keys(var.enforcers) : "recorder/${log}" => ["audit/${log}/", "audit/${log}-"] },
  )
  puts = merge(
    { function = local.published, replica = local.published },
    { for set in keys(var.uploaders) : "uploader/${set}" => ["inbox/${set}/"] },
    { for log in keys(var.enforcers) : "enforcer/${log}" => ["openings/${log}/", "openings/${log}-"] },
    { for log in keys(var.enforcers) : "recorder/${log}" => ["audit/${log}/", "audit/${log}-"] },
  )
  conditions = { for who in keys(local.reads) : who => "(${local.may_read[who]}) AND ${local.may_write[who]}${lookup(local.may_list, who, "")}" }
}

resource "azurerm_role_definition" "blobs" {
  name        = "AECP ${var.name}: read and write blobs"
  scope       = azurerm_resource_group.aecp.id
  description = "Read, list and write, never delete; assigned with a condition on paths"
  permissions {
    data_actions = ["${local.blobs}/read", "${local.blobs}/write", "${local.blobs}/add/action"]
  }
  assignable_scopes = [azurerm_resource_group.aecp.id]
}

resource "azurerm_role_assignment" "function" {
  count              = local.count
  scope              = azurerm_storage_container.policies.id
  role_definition_id = azurerm_role_definition.blobs.role_definition_resource_id
  principal_id       = azurerm_user_assigned_identity.function[0].principal_id
  condition_version  = "2.0"
  condition          = local.conditions["function"]
}

resource "azurerm_role_definition" "unwrap" {
  name        = "AECP ${var.name}: unwrap the judicial key"
  scope       = azurerm_resource_group.aecp.id
  description = "What the compiler may do with the key, and nothing else"
  permissions {
    data_actions = ["Microsoft.KeyVault/vaults/keys/read", "Microsoft.KeyVault/vaults/keys/unwrap/action"]
  }
  assignable_scopes = [azurerm_resource_group.aecp.id]
}

resource "azurerm_role_assignment" "key" {
  count              = local.count
  scope              = azurerm_key_vault_key.judicial.resource_versionless_id
  role_definition_id = azurerm_role_definition.unwrap.role_definition_resource_id
  principal_id       = azurerm_user_assigned_identity.function[0].principal_id
}

resource "azurerm_role_assignment" "uploader" {
  for_each           = var.uploaders
  scope              = azurerm_storage_container.policies.id
  role_definition_id = azurerm_role_definition.blobs.role_definition_resource_id
  principal_id       = each.value
  condition_version  = "2.0"
  condition          = local.conditions["uploader/${each.key}"]
}

resource "azurerm_role_assignment" "enforcer" {
  for_each           = var.enforcers
  scope              = azurerm_storage_container.policies.id
  role_definition_id = azurerm_role_definition.blobs.role_definition_resource_id
  principal_id       = each.value
  condition_version  = "2.0"
  condition          = local.conditions["enforcer/${each.key}"]
}

resource "azurerm_role_assignment" "recorder" {
  for_each           = var.enforcers
  scope              = azurerm_storage_container.audit.id
  role_definition_id = azurerm_role_definition.blobs.role_definition_resource_id
  principal_id       = each.value
  condition_version  = "2.0"
  condition          = local.conditions["recorder/${each.key}"]
}

# For a function in another cloud, which has no other way in.
resource "azuread_application" "replica" {
  count        = var.replica_writer ? 1 : 0
  display_name = "${var.name}-replica"
}

resource "azuread_service_principal" "replica" {
  count     = var.replica_writer ? 1 : 0
  client_id = azuread_application.replica[0].client_id
}

resource "azuread_application_password" "replica" {
  count          = var.replica_writer ? 1 : 0
  application_id = azuread_application.replica[0].id
}

resource "azurerm_role_assignment" "replica" {
  count              = var.replica_writer ? 1 : 0
  scope              = azurerm_storage_container.policies.id
  role_definition_id = azurerm_role_definition.blobs.role_definition_resource_id
  principal_id       = azuread_service_principal.replica[0].object_id
  condition_version  = "2.0"
  condition          = local.conditions["replica"]
}
