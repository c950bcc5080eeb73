"""What must be forgotten: policy files, checked, and compiled into a screen. Knows no HTTP."""

from policies.border import read
from policies.compile import PolicySet, compile_policies
from policies.load import LIBRARY, ConceptTexts, LoadedPolicy, load, load_folder
from policies.problem import PolicyErrors, Problem
from policies.schema import Policy

__all__ = [
    "LIBRARY",
    "ConceptTexts",
    "LoadedPolicy",
    "Policy",
    "PolicyErrors",
    "PolicySet",
    "Problem",
    "compile_policies",
    "load",
    "load_folder",
    "read",
]
