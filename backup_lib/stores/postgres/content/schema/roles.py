"""Roles of the cluster: what they may, whose members they are, what is set and granted for them.

They are in no snapshot. A password is left out, its digest too: that of a short one gives it away.
Roles that every server has (``pg_…``) count only where they stand beside one that it has not.
"""

from __future__ import annotations

from collections.abc import Iterator

from backup_lib.stores.postgres.content.schema.scope import BOOTSTRAP_ROLE, Majors, facts, listed

_PARAMETER_GRANTS_SINCE = 15
_MEMBERSHIP_OPTIONS_SINCE = 16

BOOTSTRAP = f"SELECT quote_ident(rolname) FROM pg_roles WHERE oid = {BOOTSTRAP_ROLE}"
KINDS = ("role definition", "role memberships", "role settings", "parameter access")


def queries(majors: Majors) -> Iterator[str]:
    """Rows of kind, name of the role or parameter, and fact."""
    yield f"""
    SELECT 'role definition', quote_ident(r.rolname), {
        facts(
            "r.rolsuper",
            "r.rolinherit",
            "r.rolcreaterole",
            "r.rolcreatedb",
            "r.rolcanlogin",
            "r.rolreplication",
            "r.rolbypassrls",
            "r.rolconnlimit",
            "r.rolvaliduntil",
            "shobj_description(r.oid, 'pg_authid')",
        )
    }
    FROM pg_roles r WHERE r.rolname !~ '^pg_'
    """
    # whoever granted it: a superuser's grants are the bootstrap superuser's, who has many names
    kept = ["bool_or(m.admin_option)"]
    if majors.like >= _MEMBERSHIP_OPTIONS_SINCE:
        kept += ["bool_or(m.inherit_option)", "bool_or(m.set_option)"]
    yield f"""
    SELECT 'role memberships', quote_ident(u.rolname), {facts("g.rolname", *kept)}
    FROM pg_auth_members m
    JOIN pg_roles g ON g.oid = m.roleid JOIN pg_roles u ON u.oid = m.member
    WHERE NOT (g.rolname ~ '^pg_' AND u.rolname ~ '^pg_')
    GROUP BY g.rolname, u.rolname
    """
    yield f"""
    SELECT 'role settings', quote_ident(r.rolname), {listed("SELECT t FROM unnest(s.setconfig) t")}
    FROM pg_db_role_setting s JOIN pg_roles r ON r.oid = s.setrole WHERE s.setdatabase = 0
    """
    if majors.like >= _PARAMETER_GRANTS_SINCE:
        yield f"""
        SELECT 'parameter access', p.parname, {
            facts("pg_get_userbyid(a.grantee)", "a.privilege_type", "bool_or(a.is_grantable)")
        }
        FROM pg_parameter_acl p, LATERAL aclexplode(p.paracl) a
        WHERE a.grantee <> {BOOTSTRAP_ROLE}
        GROUP BY p.parname, a.grantee, a.privilege_type
        """
