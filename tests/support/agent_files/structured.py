"""An agent whose answers are values, and whose messages may ask for values of their own; no tools."""

from pydantic import BaseModel, Field

from myagent import create_react_agent


class Invoice(BaseModel):
    customer: str
    total: float = Field(gt=0)


agent = create_react_agent(name="structured", output=Invoice, accepts=["output_schema"])
