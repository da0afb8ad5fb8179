"""What the API's GET endpoints ask of a large database: filled, asked, and the plan of every statement judged."""
