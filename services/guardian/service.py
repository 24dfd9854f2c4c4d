"""The guardian service: who may do what, and interventions under that authority."""

from services.guardian import grant
from services.guardian.queries import grants
from services.guardian.tables import INDEXES
from shared.contracts import guardian as contract
from shared.kernel.declaration import Service

guardian = Service(
    "guardian",
    aggregates=(grant.GRANT,),
    obeys={
        contract.GrantAuthority: grant.grant,
        contract.RevokeAuthority: grant.revoke,
    },
    hears={},
    answers={
        contract.ListGrants: grants.list_grants,
    },
    indexes=INDEXES,
)
