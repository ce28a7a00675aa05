"""The add-on service: the EKS API for add-ons, and the workers that make clusters what was asked for.

``model`` holds the values that travel between its parts; docs/addons.md says which part does what.
"""
