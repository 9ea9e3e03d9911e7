output "store" {
  description = "URL of the store"
  value       = "az://${azurerm_storage_container.policies.name}"
}

output "audit_store" {
  description = "URL for the enforcers' AECP_AUDIT_STORE"
  value       = "https://${azurerm_storage_account.audit.name}.blob.core.windows.net/${azurerm_storage_container.audit.name}"
}

output "openings_store" {
  description = "URL for the enforcers' AECP_AUDIT_OPENINGS"
  value       = "az://${azurerm_storage_container.policies.name}"
}

output "kms_key" {
  description = "What to give aecp keygen --kms"
  value       = "azurekms://${azurerm_key_vault.judicial.name}.vault.azure.net/${azurerm_key_vault_key.judicial.name}"
}

output "function" {
  description = "The function, or null where there is none"
  value       = one(azurerm_function_app_flex_consumption.compiler[*].id)
}

output "reports" {
  description = "The topic that tells of each new report"
  value       = azurerm_eventgrid_system_topic.store.id
}

output "alarms" {
  description = "Where alarms are raised"
  value       = azurerm_monitor_action_group.alarms.id
}

output "dead_letters" {
  description = "Where events are that were given up"
  value       = azurerm_storage_container.dead_letters.id
}

output "replica_environment" {
  description = "Variables with which a function in another cloud writes this store; empty without replica_writer"
  sensitive   = true
  value = var.replica_writer ? {
    AZURE_STORAGE_ACCOUNT_NAME = azurerm_storage_account.policies.name
    AZURE_TENANT_ID            = data.azurerm_client_config.current.tenant_id
    AZURE_CLIENT_ID            = azuread_application.replica[0].client_id
    AZURE_CLIENT_SECRET        = azuread_application_password.replica[0].value
  } : {}
}
