# Two storage accounts: the store, and the logs of decisions, which nobody can change or delete. Nobody has their keys; all
# come in by identities.

data "azurerm_client_config" "current" {}

locals {
  container = "aecp"
}

resource "azurerm_resource_group" "aecp" {
  name     = var.name
  location = var.location
}

resource "azurerm_storage_account" "policies" {
  name                            = "${var.name}policies"
  resource_group_name             = azurerm_resource_group.aecp.name
  location                        = var.location
  account_tier                    = "Standard"
  account_replication_type        = "ZRS"
  min_tls_version                 = "TLS1_2"
  allow_nested_items_to_be_public = false
  shared_access_key_enabled       = false
  default_to_oauth_authentication = true
  blob_properties {
    versioning_enabled = true
  }
}

resource "azurerm_storage_container" "policies" {
  name                  = local.container
  storage_account_id    = azurerm_storage_account.policies.id
  container_access_type = "private"
}

# The head of each log is written anew; its older versions are kept like all else.
resource "azurerm_storage_account" "audit" {
  name                            = "${var.name}audit"
  resource_group_name             = azurerm_resource_group.aecp.name
  location                        = var.location
  account_tier                    = "Standard"
  account_replication_type        = "ZRS"
  min_tls_version                 = "TLS1_2"
  allow_nested_items_to_be_public = false
  shared_access_key_enabled       = false
  default_to_oauth_authentication = true
  blob_properties {
    versioning_enabled = true
  }
  immutability_policy {
    allow_protected_append_writes = false
    period_since_creation_in_days = var.retention_days
    state                         = var.lock_audit ? "Locked" : "Unlocked"
  }
}

resource "azurerm_storage_container" "audit" {
  name                  = local.container
  storage_account_id    = azurerm_storage_account.audit.id
  container_access_type = "private"
}

resource "azurerm_storage_management_policy" "audit" {
  storage_account_id = azurerm_storage_account.audit.id
  rule {
    name    = "retention"
    enabled = true
    filters {
      blob_types = ["blockBlob"]
    }
    actions {
      base_blob {
        delete_after_days_since_creation_greater_than = var.retention_days + 1
      }
      version {
        delete_after_days_since_creation = var.retention_days + 1
      }
    }
  }
}

resource "azurerm_storage_management_policy" "policies" {
  storage_account_id = azurerm_storage_account.policies.id
  rule {
    name    = "inbox"
    enabled = true
    filters {
      blob_types   = ["blockBlob"]
      prefix_match = ["${local.container}/inbox/"]
    }
    actions {
      base_blob {
        delete_after_days_since_creation_greater_than = var.inbox_days
      }
      version {
        delete_after_days_since_creation = var.inbox_days
      }
    }
  }
  # What `aecp audit erase` takes out of openings must not go on in an older version.
  rule {
    name    = "openings"
    enabled = true
    filters {
      blob_types   = ["blockBlob"]
      prefix_match = ["${local.container}/openings/"]
    }
    actions {
      base_blob {
        delete_after_days_since_creation_greater_than = var.retention_days
      }
      version {
        delete_after_days_since_creation = 1
      }
    }
  }
}

# The key that wraps the judicial key. Key Vault has no symmetric keys.
resource "azurerm_key_vault" "judicial" {
  name                       = "${var.name}-aecp"
  resource_group_name        = azurerm_resource_group.aecp.name
  location                   = var.location
  tenant_id                  = data.azurerm_client_config.current.tenant_id
  sku_name                   = "standard"
  rbac_authorization_enabled = true
  purge_protection_enabled   = true
  soft_delete_retention_days = 90
}

resource "azurerm_role_assignment" "key_officer" {
  scope                = azurerm_key_vault.judicial.id
  role_definition_name = "Key Vault Crypto Officer"
  principal_id         = data.azurerm_client_config.current.object_id
}

resource "azurerm_key_vault_key" "judicial" {
  name         = "judicial"
  key_vault_id = azurerm_key_vault.judicial.id
  key_type     = "RSA"
  key_size     = 3072
  key_opts     = ["wrapKey", "unwrapKey"]
  depends_on   = [azurerm_role_assignment.key_officer]
}
