# Three clouds, of which one compiles: uploads come to its store, and each release goes to all three. When it is lost, set
# `compiles` to another and apply (docs/operation.md, "A cloud is lost").
#
# First without trust_root and keys: that makes stores and keys, and no function. Then, with what the output kms_keys says:
#   aecp keygen --out keys --kms KEY_OF_THE_CLOUD_THAT_COMPILES
# and apply again with trust_root = file("keys/root.json") and keys = { aws = file("keys/private.json") }.

terraform {
  required_version = ">= 1.9"
  required_providers {
    aws     = { source = "hashicorp/aws", version = "~> 6.25" }
    azuread = { source = "hashicorp/azuread", version = "~> 3.7" }
    azurerm = { source = "hashicorp/azurerm", version = "~> 4.55" }
    google  = { source = "hashicorp/google", version = "~> 6.50" }
  }
}

variable "name" {
  description = "What the names of all that is made begin with"
  type        = string
}

variable "compiles" {
  description = "The cloud whose function compiles: aws, google or azure. Its store gives the serials"
  type        = string
  default     = "aws"
  validation {
    condition     = contains(["aws", "google", "azure"], var.compiles)
    error_message = "One of aws, google and azure compiles."
  }
}

variable "google_project" {
  description = "Id of the project"
  type        = string
}

variable "azure_subscription" {
  description = "Id of the subscription"
  type        = string
}

variable "packages" {
  description = "Cloud to what its function is: the path of a zip (aws, azure), the URL of an image (google)"
  type        = map(string)
  default     = {}
}

variable "trust_root" {
  description = "The enforcers' trust root, the text of root.json"
  type        = string
  default     = ""
}

variable "keys" {
  description = "Cloud to its judicial key, wrapped by that cloud's key: the text of private.json"
  type        = map(string)
  default     = {}
}

variable "enforcers" {
  description = "Cloud to its enforcers, as the modules have them"
  type        = map(map(string))
  default     = {}
}

variable "uploaders" {
  description = "Set to principal, in the cloud that compiles"
  type        = map(string)
  default     = {}
}

variable "alarm_email" {
  description = "Where alarms go"
  type        = string
}

provider "aws" {
  region = "eu-central-1"
}

provider "google" {
  project = var.google_project
  region  = "europe-west3"
}

provider "azurerm" {
  subscription_id     = var.azure_subscription
  storage_use_azuread = true
  features {}
}

locals {
  own = {
    aws    = "s3://${var.name}-policies"
    google = "gs://${var.name}-policies"
    azure  = "az://aecp"
  }
  # Where there is a key, a function may be. The first store gives the serials, the others are replicas.
  stores = { for cloud in keys(local.own) : cloud =>
    cloud == var.compiles && contains(keys(var.keys), cloud)
    ? concat([local.own[cloud]], [for other, url in local.own : url if other != cloud])
    : []
  }
}

module "aws" {
  source         = "../aws"
  name           = var.name
  location       = "eu-central-1"
  stores         = local.stores["aws"]
  package        = lookup(var.packages, "aws", "")
  trust_root     = var.trust_root
  key            = lookup(var.keys, "aws", "")
  environment    = var.compiles == "aws" ? merge(module.google.replica_environment, module.azure.replica_environment) : {}
  uploaders      = var.compiles == "aws" ? var.uploaders : {}
  enforcers      = lookup(var.enforcers, "aws", {})
  replica_writer = var.compiles != "aws"
  alarm_email    = var.alarm_email
}

module "google" {
  source         = "../google"
  name           = var.name
  location       = "europe-west3"
  stores         = local.stores["google"]
  package        = lookup(var.packages, "google", "")
  trust_root     = var.trust_root
  key            = lookup(var.keys, "google", "")
  environment    = var.compiles == "google" ? merge(module.aws.replica_environment, module.azure.replica_environment) : {}
  uploaders      = var.compiles == "google" ? var.uploaders : {}
  enforcers      = lookup(var.enforcers, "google", {})
  replica_writer = var.compiles != "google"
  alarm_email    = var.alarm_email
}

module "azure" {
  source         = "../azure"
  name           = var.name
  location       = "germanywestcentral"
  stores         = local.stores["azure"]
  package        = lookup(var.packages, "azure", "")
  trust_root     = var.trust_root
  key            = lookup(var.keys, "azure", "")
  environment    = var.compiles == "azure" ? merge(module.aws.replica_environment, module.google.replica_environment) : {}
  uploaders      = var.compiles == "azure" ? var.uploaders : {}
  enforcers      = lookup(var.enforcers, "azure", {})
  replica_writer = var.compiles != "azure"
  alarm_email    = var.alarm_email
}

output "kms_keys" {
  description = "Cloud to what to give aecp keygen --kms"
  value       = { aws = module.aws.kms_key, google = module.google.kms_key, azure = module.azure.kms_key }
}

output "stores" {
  description = "For the enforcers' AECP_STORE, the store that gives the serials first"
  value       = join(",", concat([local.own[var.compiles]], [for other, url in local.own : url if other != var.compiles]))
}

output "reports" {
  description = "The topic that tells of each new report"
  value       = { aws = module.aws.reports, google = module.google.reports, azure = module.azure.reports }[var.compiles]
}
