terraform {
  required_version = ">= 1.9"
  required_providers {
    azuread = { source = "hashicorp/azuread", version = "~> 3.7" }
    azurerm = { source = "hashicorp/azurerm", version = "~> 4.55" }
  }
}
