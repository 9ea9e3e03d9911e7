resource "azurerm_monitor_action_group" "alarms" {
  name                = "${var.name}-alarms"
  resource_group_name = azurerm_resource_group.aecp.name
  short_name          = substr(var.name, 0, 12)
  email_receiver {
    name          = "operators"
    email_address = var.alarm_email
  }
}

resource "azurerm_log_analytics_workspace" "function" {
  count               = local.count
  name                = "${var.name}-logs"
  resource_group_name = azurerm_resource_group.aecp.name
  location            = var.location
  sku                 = "PerGB2018"
  retention_in_days   = 400
}

resource "azurerm_application_insights" "function" {
  count               = local.count
  name                = "${var.name}-compiler"
  resource_group_name = azurerm_resource_group.aecp.name
  location            = var.location
  application_type    = "other"
  workspace_id        = azurerm_log_analytics_workspace.function[0].id
}

resource "azurerm_monitor_metric_alert" "errors" {
  count               = local.count
  name                = "${var.name}-errors"
  description         = "The compiler failed on an event, which comes again: docs/operation.md"
  resource_group_name = azurerm_resource_group.aecp.name
  scopes              = [azurerm_application_insights.function[0].id]
  window_size         = "PT5M"
  criteria {
    metric_namespace = "microsoft.insights/components"
    metric_name      = "requests/failed"
    aggregation      = "Count"
    operator         = "GreaterThan"
    threshold        = 0
  }
  action {
    action_group_id = azurerm_monitor_action_group.alarms.id
  }
}

resource "azurerm_monitor_metric_alert" "dead_letters" {
  name                = "${var.name}-dead-letters"
  description         = "An upload was given up and has no report: docs/operation.md"
  resource_group_name = azurerm_resource_group.aecp.name
  scopes              = [azurerm_eventgrid_system_topic.store.id]
  window_size         = "PT5M"
  criteria {
    metric_namespace = "Microsoft.EventGrid/systemTopics"
    metric_name      = "DeadLetteredCount"
    aggregation      = "Total"
    operator         = "GreaterThan"
    threshold        = 0
  }
  action {
    action_group_id = azurerm_monitor_action_group.alarms.id
  }
}

# A replica that was not written, or a release that nobody renews, is no error of the function, but somebody has to know.
resource "azurerm_monitor_scheduled_query_rules_alert_v2" "warnings" {
  count                = local.count
  name                 = "${var.name}-warnings"
  description          = "The compiler logged a warning: a replica was not written, or a release is to be renewed: docs/operation.md"
  resource_group_name  = azurerm_resource_group.aecp.name
  location             = var.location
  scopes               = [azurerm_application_insights.function[0].id]
  severity             = 2
  evaluation_frequency = "PT5M"
  window_duration      = "PT5M"
  criteria {
    query                   = "traces | where message has '\"level\":\"warn\"'"
    time_aggregation_method = "Count"
    operator                = "GreaterThan"
    threshold               = 0
  }
  action {
    action_groups = [azurerm_monitor_action_group.alarms.id]
  }
}
