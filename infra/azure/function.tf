locals {
  active = length(var.stores) > 0
  count  = local.active ? 1 : 0
}

resource "azurerm_user_assigned_identity" "function" {
  count               = local.count
  name                = "${var.name}-compiler"
  resource_group_name = azurerm_resource_group.aecp.name
  location            = var.location
}

# What the platform itself keeps for the function: its package and its locks.
resource "azurerm_storage_account" "function" {
  count                           = local.count
  name                            = "${var.name}fn"
  resource_group_name             = azurerm_resource_group.aecp.name
  location                        = var.location
  account_tier                    = "Standard"
  account_replication_type        = "LRS"
  min_tls_version                 = "TLS1_2"
  allow_nested_items_to_be_public = false
  shared_access_key_enabled       = false
  default_to_oauth_authentication = true
  blob_properties {
    versioning_enabled = true
  }
}

resource "azurerm_storage_container" "package" {
  count                 = local.count
  name                  = "package"
  storage_account_id    = azurerm_storage_account.function[0].id
  container_access_type = "private"
}

resource "azurerm_role_assignment" "package" {
  count                = local.count
  scope                = azurerm_storage_account.function[0].id
  role_definition_name = "Storage Blob Data Owner"
  principal_id         = azurerm_user_assigned_identity.function[0].principal_id
}

resource "azurerm_service_plan" "function" {
  count               = local.count
  name                = "${var.name}-compiler"
  resource_group_name = azurerm_resource_group.aecp.name
  location            = var.location
  os_type             = "Linux"
  sku_name            = "FC1"
}

resource "azurerm_function_app_flex_consumption" "compiler" {
  count                             = local.count
  name                              = "${var.name}-compiler"
  resource_group_name               = azurerm_resource_group.aecp.name
  location                          = var.location
  service_plan_id                   = azurerm_service_plan.function[0].id
  storage_container_type            = "blobContainer"
  storage_container_endpoint        = "${azurerm_storage_account.function[0].primary_blob_endpoint}${azurerm_storage_container.package[0].name}"
  storage_authentication_type       = "UserAssignedIdentity"
  storage_user_assigned_identity_id = azurerm_user_assigned_identity.function[0].id
  runtime_name                      = "custom"
  runtime_version                   = "1.0"
  instance_memory_in_mb             = 512
  # The plan takes no fewer than 40.
  maximum_instance_count = max(40, var.concurrency)
  https_only             = true
  zip_deploy_file        = var.package
  identity {
    type         = "UserAssigned"
    identity_ids = [azurerm_user_assigned_identity.function[0].id]
  }
  site_config {
    application_insights_connection_string = azurerm_application_insights.function[0].connection_string
    minimum_tls_version                    = "1.2"
  }
  app_settings = merge(var.environment, {
    AECP_STORE                       = join(",", var.stores)
    AECP_ROOT                        = var.trust_root
    AECP_KEY                         = var.key
    AZURE_STORAGE_ACCOUNT_NAME       = azurerm_storage_account.policies.name
    AZURE_CLIENT_ID                  = azurerm_user_assigned_identity.function[0].client_id
    AzureWebJobsStorage__accountName = azurerm_storage_account.function[0].name
    AzureWebJobsStorage__credential  = "managedidentity"
    AzureWebJobsStorage__clientId    = azurerm_user_assigned_identity.function[0].client_id
  })
  lifecycle {
    precondition {
      condition     = var.package != "" && var.trust_root != "" && var.key != ""
      error_message = "A function needs package, trust_root and key."
    }
    precondition {
      condition     = try(var.stores[0], "") == "az://${local.container}"
      error_message = "The first of stores must be this module's own: the function reads uploads there."
    }
  }
  depends_on = [azurerm_role_assignment.package, azurerm_role_assignment.function, azurerm_role_assignment.key]
}

# Everybody who is to know adds a subscription to this topic, with subjects below reports/: it tells of each new object.
resource "azurerm_eventgrid_system_topic" "store" {
  name                = "${var.name}-store"
  resource_group_name = azurerm_resource_group.aecp.name
  location            = var.location
  source_resource_id  = azurerm_storage_account.policies.id
  topic_type          = "Microsoft.Storage.StorageAccounts"
  identity {
    type = "SystemAssigned"
  }
}

resource "azurerm_storage_container" "dead_letters" {
  name                  = "dead-letters"
  storage_account_id    = azurerm_storage_account.policies.id
  container_access_type = "private"
}

resource "azurerm_role_assignment" "dead_letters" {
  scope                = azurerm_storage_container.dead_letters.id
  role_definition_name = "Storage Blob Data Contributor"
  principal_id         = azurerm_eventgrid_system_topic.store.identity[0].principal_id
}

# What comes below inbox/, to the function; what it fails on for a day, to the dead letters.
resource "azurerm_eventgrid_system_topic_event_subscription" "inbox" {
  count                 = local.count
  name                  = "${var.name}-inbox"
  system_topic          = azurerm_eventgrid_system_topic.store.name
  resource_group_name   = azurerm_resource_group.aecp.name
  included_event_types  = ["Microsoft.Storage.BlobCreated"]
  event_delivery_schema = "EventGridSchema"
  subject_filter {
    subject_begins_with = "/blobServices/default/containers/${local.container}/blobs/inbox/"
  }
  azure_function_endpoint {
    function_id          = "${azurerm_function_app_flex_consumption.compiler[0].id}/functions/compile"
    max_events_per_batch = 1
  }
  retry_policy {
    event_time_to_live    = 1440
    max_delivery_attempts = 10
  }
  dead_letter_identity {
    type = "SystemAssigned"
  }
  storage_blob_dead_letter_destination {
    storage_account_id          = azurerm_storage_account.policies.id
    storage_blob_container_name = azurerm_storage_container.dead_letters.name
  }
  depends_on = [azurerm_role_assignment.dead_letters]
}
