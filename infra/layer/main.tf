# The Lambda extension as layers, one for each architecture, and who may use them. `lambda/layer/build x86_64 arm64` makes
# the zips; add the trust root to each: zip target/layer/aecp-extension-….zip aecp/root.json

terraform {
  required_version = ">= 1.9"
  required_providers {
    aws = { source = "hashicorp/aws", version = "~> 6.25" }
  }
}

variable "name" {
  description = "Name of the layers, to which the architecture is added"
  type        = string
  default     = "aecp-extension"
}

variable "packages" {
  description = "Architecture (x86_64, arm64) to the path of its zip"
  type        = map(string)
  validation {
    condition     = alltrue([for architecture in keys(var.packages) : contains(["x86_64", "arm64"], architecture)])
    error_message = "Architectures are x86_64 and arm64."
  }
}

variable "accounts" {
  description = "Ids of the accounts that may use the layers, besides this one"
  type        = set(string)
  default     = []
  validation {
    condition     = alltrue([for account in var.accounts : can(regex("^[0-9]{12}$", account))])
    error_message = "Accounts are numbers of twelve digits, never *."
  }
}

locals {
  shared = { for pair in setproduct(keys(var.packages), var.accounts) : "${pair[0]}-${pair[1]}" => { architecture = pair[0], account = pair[1] } }
}

# Older versions stay, for the functions that use them.
resource "aws_lambda_layer_version" "extension" {
  for_each                 = var.packages
  layer_name               = "${var.name}-${each.key}"
  filename                 = each.value
  source_code_hash         = filebase64sha256(each.value)
  compatible_architectures = [each.key]
  license_info             = "Apache-2.0"
  skip_destroy             = true
}

resource "aws_lambda_layer_version_permission" "account" {
  for_each       = local.shared
  layer_name     = aws_lambda_layer_version.extension[each.value.architecture].layer_arn
  version_number = aws_lambda_layer_version.extension[each.value.architecture].version
  statement_id   = each.key
  principal      = each.value.account
  action         = "lambda:GetLayerVersion"
}

output "layers" {
  description = "Architecture to the ARN for a function's layers"
  value       = { for architecture, layer in aws_lambda_layer_version.extension : architecture => layer.arn }
}
